import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { startLogins, storageFor, tally } from './logins.ts'
import { serve } from './serve.ts'

async function two(options: object) {
  return Promise.all([startLogins(options), startLogins(options)])
}

for (const tier of ['shared', 'redis'] as const) {
  test(`slowDown: two processes delay at the rate of one limit, ${tier}`, async () => {
    const where = await storageFor(tier)
    const start = performance.now()
    const [a, b] = await two({ limits: '4/second', slowDown: '60 seconds', ...where })
    const ready = performance.now()
    const answers = await Promise.all([a.logins('good', 6), b.logins('good', 6)])
    expect(tally(answers.flat())).toEqual({ 200: 12 })
    // Four at once, and then four a second: not one sooner.
    expect(performance.now() - ready).toBeGreaterThan(1_990)
    expect(ready).toBeGreaterThan(start)
  })

  test(`slowDown: each process refuses what would exceed the maximum delay, ${tier}`, async () => {
    const where = await storageFor(tier)
    const [a, b] = await two({ limits: '1/minute', slowDown: '61 seconds', ...where })
    await a.login('good')
    // In either process one request may wait: the others are refused at once.
    const waits = [a, b].flatMap((server) => Array.from({ length: 10 }, () => server.login('good')))
    const told: number[] = []
    for (const wait of waits) {
      wait.then(
        ({ status }) => told.push(status),
        () => {},
      )
    }
    for (let i = 0; i < 300 && told.length < 18; i++) await sleep(50)
    expect(told).toEqual(Array.from({ length: 18 }, () => 429))
  })

  test(`scope: two processes have one budget, ${tier}`, async () => {
    const where = await storageFor(tier)
    const [a, b] = await two({ limits: '5/hour', scope: 'otp', ...where })
    const answers = await Promise.all([a.logins('good', 6), b.logins('good', 6)])
    expect(tally(answers.flat())).toEqual({ 200: 5, 429: 7 })
  })

  test(`countWhen: charges by a function and by success count across processes, ${tier}`, async () => {
    const where = await storageFor(tier)
    const [a, b] = await two({ limits: '3/hour', countWhen: 'success', ...where })
    const bad = await Promise.all([a.logins('bad', 20, 2), b.logins('bad', 20, 2)])
    expect(tally(bad.flat())).toEqual({ 401: 40 })
    const good = await Promise.all([a.logins('good', 10, 2), b.logins('good', 10, 2)])
    expect(tally(good.flat())).toEqual({ 200: 3, 429: 17 })
  })
}

test('dryRun: a request does not wait for the connection to Redis', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  onTestFinished(() => {
    silent.close()
  })
  const storage = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}/0`
  const options = { limits: '1/hour', storage, dryRun: true, connectTimeoutMs: 30_000 }
  const { ask } = await serve('node:http', options)
  const answer = await Promise.race([ask().then(({ status }) => status), sleep(10_000, 'late')])
  expect(answer).toBe(200)
})
