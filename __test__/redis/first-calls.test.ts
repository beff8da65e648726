import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { cpus } from 'node:os'
import { RedisLimiter } from 'ratethrottle/redis'
import { expect, onTestFinished, test } from 'vitest'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { until } from './faults.ts'
import { freePort, serverForTest, startServerOn } from './server.ts'
import { SlowWire } from './slow-wire.ts'

interface Status {
  available: boolean
  reason: string | undefined
}

/** `ready()` where there is one. */
async function readyOf(limiter: object): Promise<Status | undefined> {
  return (limiter as { ready?: () => Promise<Status> }).ready?.()
}

function limiterOf(url: string, options: object = {}): RedisLimiter<string> {
  const limiter = new RedisLimiter('5/hour', { url, ...options })
  onTestFinished(() => limiter.close())
  return limiter
}

/** Without the option where it does not exist yet. */
function waiting(url: string, connectTimeoutMs: number): RedisLimiter<string> {
  try {
    return limiterOf(url, { connectTimeoutMs })
  } catch {
    return limiterOf(url)
  }
}

async function admittedBy(limiter: RedisLimiter<string>, calls: number): Promise<number> {
  const answers = await Promise.all(Array.from({ length: calls }, () => limiter.check('k')))
  return answers.filter(({ allowed }) => allowed).length
}

/** A server that accepts connections and never answers. */
async function silentServer(): Promise<string> {
  const server = createServer(() => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `redis://127.0.0.1:${(server.address() as { port: number }).port}`
}

test('short-lived processes over a slow connection admit no more than the limit', async () => {
  const server = await serverForTest()
  const wire = await SlowWire.before(server.port)
  wire.connectMs = 200
  let admitted = 0
  for (let process = 0; process < 4; process++) {
    const { out } = await run('redis/short-lived.mjs', [wire.url])
    admitted += JSON.parse(out).admitted
  }
  expect(admitted).toBe(5)
})

/** The first of them takes the limit: each later one that decides alone would admit calls. */
const PROCESSES = byLength(4, 40)

test(`${PROCESSES} processes, one after another on a busy host, admit exactly the limit`, async () => {
  const server = await serverForTest()
  const spin = 'setTimeout(() => process.exit(), 110_000); for (;;) Math.random()'
  const busy = Array.from({ length: 2 * cpus().length }, () =>
    spawn(process.execPath, ['-e', spin]),
  )
  onTestFinished(() => {
    for (const child of busy) child.kill('SIGKILL')
  })
  let admitted = 0
  for (let process = 0; process < PROCESSES; process++) {
    const { out } = await run('redis/short-lived.mjs', [server.url])
    admitted += JSON.parse(out).admitted
  }
  expect(admitted).toBe(5)
})

test('a Redis that starts a moment after the process decides its first calls', async () => {
  const port = await freePort()
  const first = waiting(`redis://127.0.0.1:${port}`, 20_000)
  const second = waiting(`redis://127.0.0.1:${port}`, 20_000)
  const calls = Promise.all([admittedBy(first, 5), admittedBy(second, 5)])
  await new Promise((resolve) => setTimeout(resolve, 300))
  const server = await startServerOn(port)
  onTestFinished(() => server.stop())
  const [one, two] = await calls
  expect(one + two).toBe(5)
  expect(Object.values(first.stats().failures).some((count) => count > 0)).toBe(false)
})

test('ready() waits for the first connection, and says why there is none', async () => {
  const server = await serverForTest()
  const wire = await SlowWire.before(server.port)
  wire.connectMs = 200
  const limiter = limiterOf(wire.url)
  expect(await readyOf(limiter)).toEqual({ available: true, reason: undefined })
  expect(await admittedBy(limiter, 6)).toBe(5)
  expect(limiter.stats().failures.timeout).toBe(0)
  const away = waiting(`redis://127.0.0.1:${await freePort()}`, 100)
  const status = await readyOf(away)
  expect(status?.available).toBe(false)
  expect(status?.reason).toEqual(expect.any(String))
  await away.close()
  expect((await readyOf(away))?.available).toBe(false)
})

test('the wait for the first connection ends by its timeout, and no later call waits again', async () => {
  const limiter = waiting(await silentServer(), 300)
  const start = performance.now()
  expect(await admittedBy(limiter, 6)).toBe(5)
  expect(performance.now() - start).toBeGreaterThan(250)
  const again = performance.now()
  for (let call = 0; call < 20; call++) await limiter.check('k')
  expect(performance.now() - again).toBeLessThan(20 * 300)
})

test('at most 1,000 calls wait for one key and 10,000 in all; onError decides the others', async () => {
  const port = await freePort()
  const limiter = waiting(`redis://127.0.0.1:${port}`, 30_000)
  let decided = 0
  const calls = (key: string, count: number): Promise<unknown>[] =>
    Array.from({ length: count }, () => limiter.check(key).then(() => decided++))
  const asked = calls('hot', 1_005)
  await until(() => decided > 0, 5_000).catch(() => {})
  expect(decided).toBe(5)
  for (let key = 0; key < 9_010; key++) asked.push(...calls(`key ${key}`, 1))
  await until(() => decided >= 15, 5_000).catch(() => {})
  expect(decided).toBe(15)
  await limiter.close()
  await Promise.allSettled(asked)
})

test('during a later outage calls settle within deadlineMs', async () => {
  const server = await serverForTest()
  const limiter = waiting(server.url, 30_000)
  expect(await readyOf(limiter)).toEqual({ available: true, reason: undefined })
  server.signal('SIGSTOP')
  onTestFinished(() => server.signal('SIGCONT'))
  const start = performance.now()
  await admittedBy(limiter, 10)
  expect(performance.now() - start).toBeLessThan(10_000)
})

test('closing a limiter that waits for its connection does not end the wait of another limiter', async () => {
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const [closing, staying] = [waiting(url, 20_000), waiting(url, 20_000)]
  const turnedAway = closing.check('k').then(
    () => 'decided',
    (error: { code?: string }) => error.code,
  )
  const decided = staying.check('k')
  await closing.close()
  const server = await startServerOn(port)
  onTestFinished(() => server.stop())
  await decided
  expect([await turnedAway, Object.values(staying.stats().failures)]).toEqual([
    'CLOSED',
    [0, 0, 0, 0, 0, 0],
  ])
})
