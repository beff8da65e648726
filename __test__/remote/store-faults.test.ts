import { runInNewContext } from 'node:vm'
import { createConcurrencyLimiter, createLimiter, type Store, type StoredValue } from 'ratethrottle'
import { expect, it, onTestFinished, vi } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'

/** What a test has a store answer in place of what it holds. */
interface Answers {
  get?: (found: StoredValue<number> | undefined) => unknown
  set?: () => unknown
}

/** A store in memory, and its records without what probes have left. */
function storeWith(answers: Answers = {}) {
  const values = new Map<string, StoredValue<number>>()
  let version = 0
  const store = {
    get: async (key: string) => {
      const found = values.get(key)
      return (answers.get === undefined ? found : answers.get(found)) as typeof found
    },
    compareAndSet: async (key: string, value: Uint8Array, before: number | undefined) => {
      if (values.get(key)?.version !== before) return false
      values.set(key, { value, version: ++version })
      return (answers.set === undefined ? true : answers.set()) as boolean
    },
  } satisfies Store<number>
  return { store, values }
}

function limiterIn(store: Store, options: object = {}) {
  const all = { limits: '5/minute', storage: store, localDenials: false, ...options } as const
  const limiter = createLimiter(all)
  onTestFinished(() => limiter.close())
  return limiter
}

/** Codes of our warnings so far. */
function warnings(): string[] {
  const codes: string[] = []
  const hear = (warning: Error & { code?: string }): unknown => codes.push(warning.code ?? '')
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  return codes
}

it('calls that are turned away because too many wait do not count against the store', async () => {
  const limiter = limiterIn(storeWith().store, { maxWaitersPerKey: 2, deadlineMs: 1_000 })
  await limiter.ready()
  await Promise.all(Array.from({ length: 20 }, () => limiter.check('busy')))
  expect(limiter.stats()).toMatchObject({ outages: 0, failures: { unavailable: 18 } })
  expect(await limiter.ready()).toMatchObject({ available: true })
})

it('a limiter that is closed with calls under way ends them as CLOSED, and charges for none that was not read', async () => {
  // The store's answers come when the test says so.
  const answers: (() => void)[] = []
  const slow = { isSlow: false }
  const { store, values } = storeWith({
    get: (found) =>
      slow.isSlow ? new Promise((resolve) => answers.push(() => resolve(found))) : found,
  })
  const options = { deadlineMs: 60_000, name: 'closed' }
  const [limiter, other] = [limiterIn(store, options), limiterIn(store, { ...options, name: 'b' })]
  const permits = createConcurrencyLimiter({ perKey: 5, storage: store, deadlineMs: 60_000 })
  await Promise.all([limiter.ready(), other.ready(), permits.ready()])
  const [codes, before] = [warnings(), values.size]
  slow.isSlow = true
  const calls = [
    limiter.check('k'),
    limiter.consume('other'),
    limiter.peek('k'),
    limiter.refund('k'),
    limiter.block('k', 9),
  ]
  const outcomes = Promise.allSettled([...calls, permits.held('k'), permits.held('other')])
  await new Promise(setImmediate)
  await Promise.all([limiter.close(), limiter.close(), permits.close()])
  for (const outcome of await outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
  }
  slow.isSlow = false
  for (const answer of answers) answer()
  await new Promise(setImmediate)
  expect([values.size, codes]).toEqual([before, []])
  expect(limiter.stats()).toMatchObject({ outages: 0, failures: { timeout: 0, unavailable: 0 } })
  expect(await other.ready()).toMatchObject({ available: true })
  expect(await other.check('k')).toMatchObject({ remaining: 4 })
  expect(other.stats()).toMatchObject({ outages: 0 })
})

it('what was granted while the store is away still counts under the limiter that takes the place of another', async () => {
  const { store } = storeWith({
    get: () => {
      throw new Error('away')
    },
  })
  const options = { connectTimeoutMs: 50, processes: 1 }
  const limiter = limiterIn(store, options)
  for (let i = 0; i < 5; i++) expect((await limiter.check('k')).allowed).toBe(true)
  // As a reload does it: the next one is there before this one closes, and has decided nothing yet.
  const next = limiterIn(store, options)
  await limiter.close()
  expect((await next.check('k')).allowed).toBe(false)
  expect((await next.check('other')).allowed).toBe(true)
})

it('calls in progress are bounded over all keys, and the others do not count against the store', async () => {
  const limiter = limiterIn(storeWith().store, { maxWaiters: 5, deadlineMs: 1_000 })
  await limiter.ready()
  await Promise.all(Array.from({ length: 20 }, (_, i) => limiter.check(`key ${i}`)))
  expect(limiter.stats()).toMatchObject({ outages: 0, failures: { unavailable: 15 } })
  // The calls that ended have made room.
  await Promise.all(Array.from({ length: 5 }, (_, i) => limiter.check(`key ${i}`)))
  expect(limiter.stats()).toMatchObject({ failures: { unavailable: 15 } })
})

it('a limiter that is closed during an outage takes its part in the outage with it', async () => {
  const answers: Answers = {}
  const { store } = storeWith(answers)
  const [one, other] = [limiterIn(store), limiterIn(store, { limits: '6/minute' })]
  await Promise.all([one.ready(), other.ready()])
  const codes = warnings()
  const fail = async (): Promise<void> => {
    answers.get = () => Promise.reject(new Error('no'))
    for (const limiter of [one, other]) {
      for (let call = 0; call < 4; call++) await limiter.check('k').catch(() => {})
    }
  }
  await fail()
  await one.close()
  delete answers.get
  await vi.waitFor(
    async () => expect(await other.ready()).toMatchObject({ available: true }),
    PATIENCE,
  )
  await fail()
  const down = 'RATETHROTTLE_STORE_DOWN'
  await vi.waitFor(() => expect(codes).toEqual([down, 'RATETHROTTLE_STORE_UP', down]), PATIENCE)
})

it.each([1, 'OK', undefined])(
  'compareAndSet that answers %s is an outage, and charges once for each call',
  async (answer) => {
    const answers: Answers = {}
    const limiter = limiterIn(storeWith(answers).store, {
      onError: 'closed',
      deadlineMs: 1_000,
      onStoreChange: () => {},
    })
    await limiter.ready()
    answers.set = () => answer
    expect((await limiter.check('k')).allowed).toBe(false)
    expect(limiter.stats().failures).toMatchObject({ garbled: 1 })
    delete answers.set
    expect((await limiter.peek('k')).remaining).toBe(4)
  },
)

it('bytes of another realm are bytes, and an object that only inherits from them is not', async () => {
  const answers: Answers = {}
  const limiter = limiterIn(storeWith(answers).store, {
    onError: 'closed',
    onStoreChange: () => {},
  })
  await limiter.check('k')
  const Other = runInNewContext('Uint8Array') as Uint8ArrayConstructor
  answers.get = (found) => found && { ...found, value: new Other(found.value) }
  expect((await limiter.check('k')).remaining).toBe(3)
  answers.get = (found) => found && { ...found, value: Object.create(Uint8Array.prototype) }
  expect((await limiter.check('k')).allowed).toBe(false)
  expect(limiter.stats().failures).toMatchObject({ garbled: 1 })
})

it('a reset replaces a value that is no record, also one that is too long to be one', async () => {
  const { store, values } = storeWith()
  const limiter = limiterIn(store, { onError: 'closed' })
  await limiter.check('k')
  const [key = '', { value, version }] = [...values].at(-1) as [string, StoredValue<number>]
  const long = new Uint8Array(100_000_000)
  long.set(value)
  for (const bytes of [new Uint8Array(9), long]) {
    values.set(key, { value: bytes, version })
    const before = process.cpuUsage()
    for (let call = 0; call < 20; call++) expect((await limiter.check('k')).allowed).toBe(false)
    const { user, system } = process.cpuUsage(before)
    // Not read as a whole, let alone twenty times: that takes seconds.
    expect((user + system) / 1_000).toBeLessThan(500)
    await limiter.reset('k')
    expect((await limiter.check('k')).remaining).toBe(4)
  }
})

it('localDenials: false always asks, also when the clock steps back during a call', async () => {
  let now = 1_796_000_000_000
  const answers: Answers = {}
  const options = { clock: { now: () => now }, limits: '1/minute' }
  const limiter = limiterIn(storeWith(answers).store, options)
  await limiter.check('k')
  answers.get = (found) => {
    now -= 1_000
    return found
  }
  for (let call = 0; call < 3; call++) expect((await limiter.check('k')).allowed).toBe(false)
  expect(limiter.stats()).toMatchObject({ deniedLocally: 0 })
})

it('every key of the store begins with keyPrefix, also that of a probe', async () => {
  const { store, values } = storeWith()
  await limiterIn(store, { keyPrefix: 'mine:' }).check('k')
  expect(values.size).toBe(2)
  expect([...values.keys()].filter((key) => !key.startsWith('mine:'))).toEqual([])
})

it.each([
  ['rejects', () => Promise.reject(new Error('no'))],
  [
    'throws',
    () => {
      throw new Error('no')
    },
  ],
])('a store whose close %s does not fail the limiter that closes it', async (_, close) => {
  const limiter = limiterIn({ ...storeWith().store, close } as Store)
  await limiter.check('k')
  await expect(limiter.close()).resolves.toBeUndefined()
})

it('a call that had little time left when it was sent says nothing about the store', async () => {
  const answers: Answers = {}
  const limiter = limiterIn(storeWith(answers).store, {
    limits: '1/minute',
    lease: { size: 10 },
    deadlineMs: 200,
  })
  await limiter.ready()
  answers.get = (found) => new Promise((resolve) => setTimeout(resolve, 130, found))
  for (const key of ['a', 'b', 'c', 'd']) {
    // The lease has one unit. The second call asks again, with what is left of its time.
    await Promise.all([limiter.check(key, 1), limiter.check(key, 2)])
  }
  expect(limiter.stats()).toMatchObject({ outages: 0, failures: { timeout: 4 } })
})
