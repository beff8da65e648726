import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startLogins, storageFor, tally } from './logins.ts'

const OPTIONS = { limits: '5/hour', countWhen: 'failure', blockFor: '15 minutes' } as const

for (const tier of ['shared', 'redis'] as const) {
  test(`parallel good logins are all served, and block no account, ${tier}`, async () => {
    const options = { ...OPTIONS, ...(await storageFor(tier)) }
    const [a, b] = await Promise.all([startLogins(options), startLogins(options)])
    for (const [count, ms] of [
      [60, 5],
      [200, 0],
      [3, 0],
    ] as const) {
      const all = await Promise.all([a.logins('good', count, ms), b.logins('good', count, ms)])
      expect(tally(all.flat())).toEqual({ 200: 2 * count })
    }
  })

  test(`logins in progress in one process refuse none in another, ${tier}`, async () => {
    const options = { ...OPTIONS, ...(await storageFor(tier)) }
    const [a, b] = await Promise.all([startLogins(options), startLogins(options)])
    const slow = a.logins('good', 5, 1_500)
    for (let i = 0; i < 200 && (await a.runs()) < 5; i++) await sleep(10)
    // A sixth, while all five units are held elsewhere: it waits for one of them.
    expect(await b.login('good')).toMatchObject({ status: 200 })
    expect(tally(await slow)).toEqual({ 200: 5 })
    const both = await Promise.all([a.logins('good', 60, 5), b.logins('good', 60, 5)])
    expect(tally(both.flat())).toEqual({ 200: 120 })
    // Of bad ones exactly five run, at both together, and the others are refused.
    const ran = (await a.runs()) + (await b.runs())
    const bad = await Promise.all([a.logins('bad', 30, 20), b.logins('bad', 30, 20)])
    expect(tally(bad.flat())).toEqual({ 401: 5, 429: 55 })
    expect((await a.runs()) + (await b.runs()) - ran).toBe(5)
    // That was an offence: both now deny the account for as long as the block.
    const after = await Promise.all([a.login('good'), b.login('good')])
    for (const { status, retryAfter = 0 } of after) {
      expect(status).toBe(429)
      expect(retryAfter).toBeGreaterThan(600)
    }
  })

  test(`with steps, a bad login in one process counts in another, ${tier}`, async () => {
    const steps = { ...OPTIONS, limits: '2/hour', blockFor: ['1 minute', '1 hour'] }
    const options = { ...steps, ...(await storageFor(tier)) }
    const [a, b] = await Promise.all([startLogins(options), startLogins(options)])
    const slow = a.logins('good', 2, 1_000)
    for (let i = 0; i < 200 && (await a.runs()) < 2; i++) await sleep(10)
    expect(tally(await b.logins('good', 10, 5))).toEqual({ 200: 10 })
    expect(tally(await slow)).toEqual({ 200: 2 })
    expect(tally([await a.login('bad'), await b.login('bad')])).toEqual({ 401: 2 })
    expect(await b.login('good')).toMatchObject({ status: 429 })
  })
}
