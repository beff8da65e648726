import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type RedisLimiter, STORE_CHANNEL, type StoreChange } from 'ratethrottle/redis'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { failures, limiterForTest, sleep, until, untilExact } from './faults.ts'
import { freePort, type Server, serverForTest, startServerOn } from './server.ts'
import { SlowWire } from './slow-wire.ts'

interface Warned {
  readonly code: string
  readonly message: string
}

let warnings: Warned[]

beforeEach(() => {
  warnings = []
  const hear = (warning: Error & { code?: string }): void => {
    const { code = '', message } = warning
    if (code.startsWith('RATETHROTTLE_STORE')) warnings.push({ code, message })
  }
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
})

const codes = (): string[] => warnings.map(({ code }) => code)
const DOWN = 'RATETHROTTLE_STORE_DOWN'
const UP = 'RATETHROTTLE_STORE_UP'

/** A limiter that gives up connecting early, where there is that option. */
function opened(url: string, options: object = {}, connectTimeoutMs = 300): RedisLimiter<string> {
  try {
    return limiterForTest('4/hour', { url, connectTimeoutMs, ...options } as never)
  } catch {
    return limiterForTest('4/hour', { url, ...options })
  }
}

/** Every change of every storage, published on the channel. */
function changesForTest(): StoreChange[] {
  const changes: StoreChange[] = []
  const hear = (change: unknown): void => void changes.push(change as StoreChange)
  subscribe(STORE_CHANNEL, hear)
  onTestFinished(() => void unsubscribe(STORE_CHANNEL, hear))
  return changes
}

test('an outage causes one warning, and its end another, whatever the number of limiters and of retries', async () => {
  const port = await freePort()
  const limiters = [1, 2, 3].map((i) =>
    opened(`redis://127.0.0.1:${port}`, { name: `l${i}`, deadlineMs: 30_000 }),
  )
  await Promise.all(limiters.map((limiter) => limiter.check('k')))
  await until(() => warnings.length > 0, PATIENCE)
  await sleep(1_000)
  expect(codes()).toEqual([DOWN])
  const server = await startServerOn(port)
  onTestFinished(() => server.stop())
  await until(() => warnings.length > 1, PATIENCE)
  expect(codes()).toEqual([DOWN, UP])
  server.signal('SIGKILL')
  await until(() => warnings.length > 2, PATIENCE)
  await server.restart()
  await until(() => warnings.length > 3, PATIENCE)
  expect(codes()).toEqual([DOWN, UP, DOWN, UP])
})

test('a frozen Redis causes one warning, and its end another', async () => {
  const server = await serverForTest()
  const limiter = opened(server.url, { deadlineMs: 1_500 })
  await untilExact(limiter)
  server.signal('SIGSTOP')
  const isDown = (): boolean => codes().includes(DOWN)
  await until(() => limiter.check('k').then(isDown))
  const end = performance.now() + 1_500
  while (performance.now() < end) {
    await limiter.check('k')
    await sleep(5)
  }
  expect(codes()).toEqual([DOWN])
  expect(warnings[0]?.message).toContain('timeout')
  server.signal('SIGCONT')
  await until(() => warnings.length > 1, PATIENCE)
  expect(codes()).toEqual([DOWN, UP])
})

test('onStoreChange replaces the warnings, and gets the same reason', async () => {
  const changes: StoreChange[] = []
  const onStoreChange = (change: StoreChange): void => void changes.push(change)
  const server = await serverForTest('--requirepass', 'right')
  const limiter = opened(`redis://:wrong@127.0.0.1:${server.port}`, { onStoreChange })
  await limiter.check('k')
  await until(() => changes.length > 0)
  await sleep(500)
  expect(changes.map(({ available, reason }) => [available, reason])).toEqual([
    [false, 'forbidden'],
  ])
  expect(warnings).toEqual([])
})

test('the warning says what decides meanwhile', async () => {
  const url = `redis://127.0.0.1:${await freePort()}`
  const said = async (options: object): Promise<string> => {
    warnings = []
    const limiter = opened(url, options)
    await limiter.check('k')
    await until(() => warnings.length > 0, PATIENCE)
    await limiter.close()
    return warnings[0]?.message ?? ''
  }
  expect(await said({})).toMatch(/this process counts for itself.*option processes/)
  expect(await said({ processes: 7 })).toMatch(
    /each process counts for itself.*1\/7.*option processes/,
  )
  expect(await said({ onError: 'open' })).toMatch(
    /every call that would be counted there is admitted/,
  )
  expect(await said({ onError: 'closed' })).toMatch(
    /every call that would be counted there is denied/,
  )
})

test('a round trip longer than deadlineMs causes one warning, the state does not alternate, and calls do not wait', async () => {
  const changes = changesForTest()
  const server = await serverForTest()
  const wire = await SlowWire.before(server.port)
  wire.requestMs = 120
  const limiter = opened(wire.url, {}, 5_000)
  let waited = 0
  const end = performance.now() + 6_000
  for (; performance.now() < end; await sleep(5)) {
    const start = performance.now()
    await limiter.check('k')
    if (performance.now() - start > 45) waited++
  }
  expect(changes.map(({ available }) => available)).toEqual([false])
  expect(codes()).toEqual([DOWN])
  expect(warnings[0]?.message).toMatch(/round trip.*deadlineMs/)
  expect(waited).toBeLessThan(40)
  wire.requestMs = 0
  await untilExact(limiter, PATIENCE)
  expect(changes.map(({ available }) => available)).toEqual([false, true])
})

test('a limiter with a longer deadline uses a slow Redis while another of the same storage cannot', async () => {
  const server = await serverForTest()
  const wire = await SlowWire.before(server.port)
  wire.requestMs = 120
  const short = opened(wire.url, { name: 'short' }, 5_000)
  const patient = { name: 'long', deadlineMs: 5_000, localDenials: false }
  const long = opened(wire.url, patient, 5_000)
  await long.check('k')
  for (let call = 0; call < 12; call++) await Promise.all([short.check('k'), long.check('k')])
  const [before, missed] = [failures(long), failures(short)]
  const late = short.stats().failures.timeout
  for (let call = 0; call < 6; call++) await Promise.all([short.check('k'), long.check('k')])
  expect(failures(long)).toBe(before)
  expect(before).toBe(0)
  expect(failures(short)).toBe(missed + 6)
  // None of them waited for its deadline.
  expect(short.stats().failures.timeout).toBe(late)
})

test('a redis: URL of a cluster node is reported once, as MOVED', async () => {
  const changes = changesForTest()
  const server = await serverForTest('--cluster-enabled', 'yes')
  const other = await serverForTest('--cluster-enabled', 'yes')
  // The key in which processes are counted is on this server.
  const slot = Number(await server.admin.call('CLUSTER', 'KEYSLOT', 'processes'))
  await server.admin.call('CLUSTER', 'ADDSLOTSRANGE', slot - 99, slot + 99)
  await other.admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, slot - 100, slot + 100, 16_383)
  await server.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(other.port))
  await until(async () => String(await server.admin.call('CLUSTER', 'INFO')).includes('state:ok'))
  const limiter = opened(server.url)
  const end = performance.now() + 3_000
  for (let call = 0; performance.now() < end; call++) {
    await limiter.check(`key ${call}`)
    await sleep(2)
  }
  expect(changes.map(({ available, reason }) => [available, reason])).toEqual([[false, 'MOVED']])
  expect(codes()).toEqual([DOWN])
  expect(warnings[0]?.message).toContain('MOVED')
})

/** Two servers of a cluster, which share the slots at this one. */
async function pairForTest(slot: number): Promise<[Server, Server]> {
  const own = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']
  const timeout = ['--cluster-node-timeout', '60000']
  const [low, high] = [
    await serverForTest(...own, ...timeout),
    await serverForTest(...own, ...timeout),
  ]
  await low.admin.call('CLUSTER', 'ADDSLOTSRANGE', 0, slot)
  await high.admin.call('CLUSTER', 'ADDSLOTSRANGE', slot + 1, 16_383)
  await low.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(high.port))
  for (const { admin } of [low, high]) {
    await until(async () => String(await admin.call('CLUSTER', 'INFO')).includes('state:ok'))
  }
  return [low, high]
}

test('a redis: URL of a cluster node is reported although that server holds every other key', async () => {
  const changes = changesForTest()
  const [low, high] = await pairForTest(8_191)
  const isLow = async (name: string): Promise<boolean> =>
    Number(await low.admin.call('CLUSTER', 'KEYSLOT', name)) <= 8_191
  const keys = new Map<boolean, string>()
  for (let i = 0; keys.size < 2; i++) keys.set(await isLow(`key-${i}`), `key-${i}`)
  // Processes are counted on this server, without an error.
  const isHere = await isLow('processes')
  const server = isHere ? low : high
  const limiter = opened(server.url)
  for (let call = 0; call < 40; call++) {
    await limiter.check(keys.get((call % 2 === 0) === isHere) ?? '', 0)
    await sleep(5)
  }
  expect(changes.map(({ available, reason }) => [available, reason])).toEqual([[false, 'MOVED']])
})

test('several servers of a cluster that fail together cause one warning', async () => {
  const changes = changesForTest()
  const pair = await pairForTest(8_191)
  const limiter = opened(`redis+cluster://127.0.0.1:${pair[0].port}`, {}, 5_000)
  await untilExact(limiter)
  for (const server of pair) server.signal('SIGSTOP')
  onTestFinished(() => {
    for (const server of pair) server.signal('SIGCONT')
  })
  const shut = (): number => changes.filter(({ available }) => !available).length
  const end = performance.now() + 8_000
  for (let call = 0; shut() < 2 && performance.now() < end; call++)
    await limiter.check(`key ${call}`)
  expect(shut()).toBeGreaterThanOrEqual(2)
  await sleep(500)
  expect(codes()).toEqual([DOWN])
  for (const server of pair) server.signal('SIGCONT')
  await until(() => warnings.length > 1, PATIENCE)
  expect(codes()).toEqual([DOWN, UP])
})
