import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { CallLimiter, Entry } from '../../dist/calls/call-limiter.js'
import { type Server, startServer } from '../redis/server.ts'
import { freshName } from '../shared/place.ts'

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())

type Options = ConstructorParameters<typeof CallLimiter>[0]

function limiterFor(options: Options): CallLimiter {
  const limiter = new CallLimiter(options, freshName())
  onTestFinished(() => limiter.close())
  return limiter
}

const TIERS = ['memory', 'shared', 'redis'] as const
function storageOf(tier: (typeof TIERS)[number]): object {
  if (tier === 'redis') return { storage: redis.url, deadlineMs: 30_000, connectTimeoutMs: 60_000 }
  return tier === 'shared' ? { storage: `shared:${freshName()}` } : {}
}

describe.each(TIERS)('in %s', (tier) => {
  test('a call that its limits deny holds no permit, and one without a permit is not charged', async () => {
    const limiter = limiterFor({ limits: '3/hour', concurrent: 2, ...storageOf(tier) })
    const entered = await Promise.all([1, 2, 3, 4].map(() => limiter.enter('ada')))
    const inside = entered.filter((entry) => entry instanceof Entry)
    expect(entered.map((entry) => entry.constructor.name).sort()).toEqual([
      'ConcurrencyExceeded',
      'ConcurrencyExceeded',
      'Entry',
      'Entry',
    ])
    // Two refusals have charged nothing.
    expect((await limiter.check('ada', 0))?.remaining).toBe(1)
    for (const entry of inside) {
      entry.leave()
      entry.leave()
    }
    expect(await limiter.enter('ada')).toBeInstanceOf(Entry)
    // Its limits deny the next ones: as often as they come, each finds a permit to be refused with.
    for (let i = 0; i < 5; i++) {
      expect(await limiter.enter('ada')).toHaveProperty('name', 'RateLimitExceeded')
    }
    expect(await limiter.enter('bob')).toBeInstanceOf(Entry)
  })

  test('exactly as many of 200 callers enter as the limits admit', async () => {
    const limiter = limiterFor({ limits: '20/hour', concurrent: 200, ...storageOf(tier) })
    const all = await Promise.all(Array.from({ length: 200 }, () => limiter.enter('ada')))
    expect(all.filter((entry) => entry instanceof Entry)).toHaveLength(20)
  })

  test('a caller who has gone holds no permit and gets the signal’s reason', async () => {
    const limiter = limiterFor({ limits: '100/hour', concurrent: 1, ...storageOf(tier) })
    for (let i = 0; i < 20; i++) {
      const caller = new AbortController()
      const entering = (async () => limiter.enter('ada', 1, caller.signal))()
      if (i % 2 === 0) await Promise.race([entering, new Promise(setImmediate)]).catch(() => {})
      caller.abort(new Error('gone'))
      const entry = await entering.catch((error: Error) => error)
      if (entry instanceof Entry) entry.leave()
      else expect(entry).toMatchObject({ message: 'gone' })
    }
    const before = AbortSignal.abort(new Error('gone before'))
    await expect((async () => limiter.enter('ada', 1, before))()).rejects.toThrow('gone before')
    expect(await limiter.enter('ada')).toBeInstanceOf(Entry)
  })

  test('a wait is over when its turn has come, or its caller has gone, who is charged nothing', async () => {
    const limiter = limiterFor({ limits: '1 per 2s', ...storageOf(tier) })
    const { signal } = new AbortController()
    expect(await limiter.wait('ada', 1, signal)).toMatchObject({ allowed: true })
    const caller = new AbortController()
    const waits = [limiter.wait('ada', 1, caller.signal), limiter.wait('ada', 1, signal)]
    caller.abort(new Error('gone'))
    await expect(waits[0]).rejects.toThrow('gone')
    expect(await waits[1]).toMatchObject({ allowed: true })
    expect(await limiter.check('bob')).toMatchObject({ allowed: true })
  })

  test('a dry run refuses no call, and says what it would have done', async () => {
    const limiter = limiterFor({
      limits: '1/hour',
      concurrent: 1,
      dryRun: true,
      ...storageOf(tier),
    })
    const entries = [await limiter.enter('ada'), await limiter.enter('ada')]
    expect(entries.map((entry) => entry instanceof Entry && entry.refusal?.name)).toEqual([
      undefined,
      'ConcurrencyExceeded',
    ])
    for (const entry of entries) if (entry instanceof Entry) entry.leave()
    const third = await limiter.enter('ada')
    expect(third instanceof Entry && third.refusal?.name).toBe('RateLimitExceeded')
  })

  test('an insight has a row for it, by its name', async () => {
    const view = insight()
    onTestFinished(() => view.close())
    const place = storageOf(tier)
    const limiter = limiterFor({ limits: '2/hour', name: 'calls', insight: view, ...place })
    for (let i = 0; i < 5; i++) await limiter.enter('ada')
    expect(view.report().limits).toMatchObject([{ name: 'calls', admitted: 2, denied: 3 }])
  })
})

test('a limiter that is passed as storage keeps its own limits, and stays open', () => {
  const own = new RateLimiter('2/hour')
  const limiter = limiterFor({ storage: own })
  limiter.enter('ada')
  limiter.close()
  expect(own.peek('ada').remaining).toBe(1)
})

test.each([
  [{}, 'limits must be a limit or an array of them, or left out beside concurrent, got undefined'],
  [{ limits: undefined }, 'limits must be'],
  [{ limits: '1/fortnight' }, 'Invalid limit'],
  [{ concurrent: 0 }, 'concurrent must be an integer from 1'],
  [{ concurrent: '3' }, 'concurrent must be'],
  [{ limits: '1/hour', dryRun: 1 }, 'dryRun must be true or false, got 1'],
  [{ limits: '1/hour', limit: 3 }, 'unknown option "limit"'],
  [{ limits: '1/hour', insight: {} }, 'insight must be'],
  [{ limits: '1/hour', storage: 'mongo:x' }, 'storage must be'],
  [{ limits: '1/hour', deadlineMs: 0 }, 'deadlineMs must be'],
])('options are checked: %j', (options, message) => {
  expect(() => new CallLimiter(options as Options, 'calls')).toThrow(message)
})

test('a polluted prototype is no option', () => {
  const polluted = Object.create({ dryRun: true, limits: '1/hour' }) as Options
  expect(() => new CallLimiter(polluted, 'calls')).toThrow('limits must be')
})

test('a store that fails leaves no permit behind', async () => {
  const own = new RateLimiter('2/hour')
  let fails = true
  const check = own.check.bind(own)
  Object.assign(own, {
    check: (key: string, cost?: number) => {
      if (fails) throw new Error('away')
      return check(key, cost)
    },
  })
  const limiter = limiterFor({ storage: own, concurrent: 1 })
  for (let i = 0; i < 3; i++) expect(() => limiter.enter('ada')).toThrow('away')
  fails = false
  expect(limiter.enter('ada')).toBeInstanceOf(Entry)
})

// A port on which no server listens, and options as a service has them.
const AWAY = { storage: 'redis://127.0.0.1:1/0', deadlineMs: 20, connectTimeoutMs: 20 } as const

test.each([
  ['closed', 0],
  ['local', 2],
  ['open', 5],
] as const)(
  'while Redis is away, onError: %j lets %i of 5 calls enter, and none keeps a permit',
  async (onError, most) => {
    const limiter = limiterFor({ limits: '2/hour', concurrent: 3, onError, ...AWAY })
    let entered = 0
    for (let i = 0; i < 5; i++) {
      const entry = await limiter.enter('ada')
      if (!(entry instanceof Entry)) continue
      entered++
      entry.leave()
    }
    expect(entered).toBe(most)
    expect(await limiter.ready()).toMatchObject({ available: false })
  },
)

/** A store in this process that says when it is called. */
function storeWith(called: (count: number) => void) {
  const values = new Map<string, { value: Uint8Array; version: number }>()
  let count = 0
  const answer = async <T>(make: () => T): Promise<T> => {
    called(++count)
    await new Promise(setImmediate)
    return make()
  }
  return {
    get: (key: string) => answer(() => values.get(key)),
    compareAndSet: (key: string, value: Uint8Array, version: number | undefined) =>
      answer(() => {
        if (values.get(key)?.version !== version) return false
        values.set(key, { value, version: (version ?? 0) + 1 })
        return true
      }),
  }
}

// The first calls open the store and take the permit, the last two charge the limits.
test.each(Array.from({ length: 8 }, (_, i) => i + 1))(
  'a caller who goes at call %i of the store, for the permit or the limits, holds nothing',
  async (at) => {
    const caller = new AbortController()
    const storage = storeWith((count) => {
      if (count === at) caller.abort(new Error('gone'))
    })
    const limiter = limiterFor({ limits: '100/hour', concurrent: 1, storage })
    const entering = (async () => limiter.enter('ada', 1, caller.signal))()
    await expect(entering).rejects.toThrow('gone')
    const enterAgain = async () => (await limiter.enter('ada')) instanceof Entry
    await expect.poll(enterAgain).toBe(true)
  },
)
