import {
  ConcurrencyLimiter,
  type CreateConcurrencyOptions,
  createConcurrencyLimiter,
  RateLimiter,
} from 'ratethrottle'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openPermits, readConcurrent } from '../../ts/permits/open.ts'

const LIMITS = 'how many permits a key may hold, or { perKey, total } with at least one of the two'

describe('what is not accepted throws, and is named', () => {
  it.each([
    [undefined, `limits must be ${LIMITS}, got undefined`],
    [{}, `limits must be ${LIMITS}, got [object]`],
    [null, `limits must be ${LIMITS}, got null`],
    ['4', `limits must be ${LIMITS}, got "4"`],
    [0, 'limits must be an integer from 1 to 1000000, got 0'],
    [1.5, 'limits must be an integer from 1 to 1000000, got 1.5'],
    [{ perKey: 0 }, 'perKey must be an integer from 1 to 1000000, got 0'],
    [{ total: 1_000_001 }, 'total must be an integer from 1 to 1000000, got 1000001'],
    [{ perkey: 1 }, 'unknown option "perkey"; known are perKey, total'],
    [
      { perKey: 4, queue: 16 },
      'unknown option "queue": options are the second argument, as in new ConcurrencyLimiter({ perKey: 4 }, { queue: 16 })',
    ],
    [
      { perKey: 4, storage: 'redis://127.0.0.1:1' },
      'unknown option "storage": permits in a store are those of createConcurrencyLimiter({ perKey, storage })',
    ],
    [Object.create({ perKey: 1 }), `limits must be ${LIMITS}, got [object]`],
  ])('limits %j', (limits, message) => {
    expect(() => new ConcurrencyLimiter(limits as number)).toThrow(
      expect.objectContaining({ message, code: 'INVALID_OPTION' }),
    )
  })

  it.each([
    [{ queue: -1 }, 'queue must be an integer from 0 to 1000000, got -1'],
    [{ queue: '16' }, 'queue must be an integer from 0 to 1000000, got "16"'],
    [{ maxWaitMs: Number.NaN }, 'maxWaitMs must be milliseconds from 0 on, or Infinity, got NaN'],
    [{ maxWaiters: 0 }, 'maxWaiters must be an integer from 1 to 10000000, got 0'],
    [{ maxHoldMs: 0 }, 'maxHoldMs must be an integer from 1 to 86400000, got 0'],
    [{ capacity: 2_000_000 }, 'capacity must be an integer from 1 to 1000000, got 2000000'],
    [{ name: '' }, 'name must be a string of 1 to 128 characters, got ""'],
    [{ shared: true }, 'shared: true requires name'],
    [
      { insight: {} },
      'insight must be what insight() of ratethrottle/insight returns, got [object]',
    ],
    [{ maxQueue: 1 }, 'unknown option "maxQueue"'],
    [{ total: 1 }, 'unknown option "total": limits are the first argument'],
    [
      { storage: 'redis://u:secret@h' },
      'unknown option "storage": permits in a store are those of',
    ],
    [{ leaseMs: 5_000 }, 'unknown option "leaseMs": permits in a store are those of create'],
  ])('options %j', (options, message) => {
    expect(() => new ConcurrencyLimiter(1, options as object)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining(message),
        code: 'INVALID_OPTION',
      }),
    )
  })

  it.each([
    [{ perKey: 1, leaseMs: 5_000 }, 'leaseMs must be absent where the permits are in no store'],
    [
      { perKey: 1, storage: 'redis://127.0.0.1:1', leaseMs: 1 },
      'leaseMs must be an integer from 500',
    ],
    [
      { perKey: 1, storage: 'redis://127.0.0.1:1', onError: 'wait' },
      'onError must be "local", "open"',
    ],
    [
      { perKey: 1, storage: 'redis://127.0.0.1:1', keyPrefix: '{' },
      'keyPrefix must be a string without',
    ],
    [{ perKey: 1, storage: 'redis://127.0.0.1:1', shared: true }, 'unknown option "shared"'],
    [{ perKey: 1, storage: 'mysql://u:secret@h' }, 'storage must be'],
    [{ storage: 'memory:' }, 'perKey or total must be a number, got undefined'],
  ])('options %j of createConcurrencyLimiter', (options, message) => {
    const make = (): unknown => createConcurrencyLimiter(options as CreateConcurrencyOptions)
    expect(make).toThrow(expect.objectContaining({ message: expect.stringContaining(message) }))
    expect(make).not.toThrow(/secret/)
  })

  it.each([
    [0, 'concurrent must be an integer from 1 to 1000000, got 0'],
    ['4', 'concurrent must be how many requests of a client'],
    [{ queue: 1 }, 'concurrent must be how many permits a key may hold'],
    [{ perKey: 1, queue: -1 }, 'queue must be an integer from 0'],
    [{ perKey: 1, name: 'x' }, 'unknown option "name"'],
  ])('concurrent: %j of adapters', (value, message) => {
    expect(() => readConcurrent(value, 'concurrent')).toThrow(message)
  })

  it('keys and options of a call', async () => {
    const limiter = new ConcurrencyLimiter(1)
    for (const key of [undefined, null, 1, {}]) {
      expect(() => limiter.tryAcquire(key as string)).toThrow('key must be a string')
    }
    const wrong = { signal: {}, maxWaitMs: -1 }
    await expect(limiter.acquire('k', wrong as object)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    await expect(limiter.acquire('k', { wait: 1 } as object)).rejects.toThrow(
      'unknown option "wait"',
    )
    expect(limiter.inUse).toBe(0)
  })
})

describe('where permits are counted', () => {
  it('createConcurrencyLimiter takes one object: what a second one says would be ignored', () => {
    const create = createConcurrencyLimiter as (...all: unknown[]) => unknown
    expect(() => create({ perKey: 4 }, { queue: 5 })).toThrow('all options in one object')
  })

  it('is what the storage or the environment says', async () => {
    const shared = createConcurrencyLimiter({ perKey: 1, storage: 'shared:permits-test' })
    onTestFinished(() => shared.close())
    vi.stubEnv('RATELIMIT_STORAGE_URL', 'shared:permits-test')
    const same = createConcurrencyLimiter({ perKey: 1 })
    vi.unstubAllEnvs()
    onTestFinished(() => same.close())
    const permit = await shared.acquire('k')
    await expect(same.acquire('k')).rejects.toMatchObject({ reason: 'perKey' })
    permit.release()
    expect(await same.held('k')).toBe(0)
    expect((await same.acquire('k')).isLost).toBe(false)
  })

  it('is for adapters where their limiter counts, at once where that is on this host', () => {
    const limiter = new RateLimiter('1/minute', { name: 'permits-beside', shared: true })
    onTestFinished(() => limiter.close())
    const places = [{ storage: limiter, identity: 'GET /' }, { storage: 'memory:' }, {}]
    for (const place of places) {
      const permits = openPermits({ perKey: 1, total: 1 }, { ...place, capacity: 5_000_000 })
      const permit = permits.enter('k')
      expect(permit).toMatchObject({ isLost: false })
      expect(permits.take('k')).toMatchObject({ reason: 'perKey', limit: 1 })
      void permits.close()
    }
  })

  it('a caller who waits finds the permit that another limiter of the name gives back', async () => {
    const name = `permits-poll-${process.pid}`
    const options = { name, queue: 1, maxWaitMs: 10_000 }
    const [one, other] = [new ConcurrencyLimiter(1, options), new ConcurrencyLimiter(1, options)]
    onTestFinished(() => {
      one.close()
      other.close()
    })
    const held = one.tryAcquire('k')
    const waits = other.acquire('k')
    held?.release()
    expect((await waits).isLost).toBe(false)
    expect(one.held('k')).toBe(1)
  })
})
