import { createLimiter, FakeClock, RateLimiter } from 'ratethrottle'
import { RedisLimiter, type RedisLimiterOptions, RedisStorage } from 'ratethrottle/redis'
import { describe, expect, it } from 'vitest'
import { limiterForTest } from './faults.ts'

/** No server listens on this port; these tests need none. */
const URL_ = 'redis://127.0.0.1:1'

describe('URLs', () => {
  it('that are invalid are rejected with the name of the invalid part, and are never shown', () => {
    const wrong = [
      ['redis://:hunter2@host:99999', 'invalid port'],
      ['redis://:hunter2@host:0', 'invalid port'],
      ['redis://:hunter2@host:12a', 'invalid host or port'],
      ['redis://:hunter2@ho st', 'invalid host or port'],
      ['redis://:hunter2@', 'invalid host or port'],
      ['redis://hunter2@host', 'invalid password'],
      ['redis://:hunter2%zz@host', 'invalid percent-encoding'],
      ['redis://:hunter2@host/one', 'invalid database'],
      ['redis://:hunter2@host/0/1', 'invalid database'],
      ['redis://:hunter2@host/99999999999', 'invalid database'],
      ['redis://:hunter2@host?db=1', 'invalid query'],
      ['redis:hunter2', 'not a URL'],
      ['redis://:hunter2@a,b', 'invalid host'],
      ['redis+sentinel://:hunter2@host', 'invalid name of the Sentinel group'],
      ['redis+cluster://:hunter2@host/1', 'invalid database'],
    ] as const
    for (const [url, part] of wrong) {
      const open = (): unknown => new RedisStorage(url)
      expect(open, url).toThrow(expect.objectContaining({ code: 'INVALID_STORAGE' }))
      expect(open, url).toThrow(part)
      expect(open, url).not.toThrow(/hunter2|host:/)
      expect(() => createLimiter({ limits: '1/s', storage: url as 'redis:' }), url).toThrow(part)
    }
    for (const url of ['http://:hunter2@host', 'rediss', 'hunter2', '']) {
      const open = (): unknown => new RedisLimiter('1/s', { url })
      expect(open).toThrow(RangeError)
      expect(open).not.toThrow('hunter2')
    }
  })

  it('of every accepted form open a limiter', async () => {
    const forms = [
      'redis://127.0.0.1',
      'redis://:pass%20word@127.0.0.1:1/3',
      'rediss://user:pass@127.0.0.1:1',
      'redis://[::1]:1/0',
      'REDIS://127.0.0.1:1/',
      'redis+sentinel://127.0.0.1:1,127.0.0.1:2/mymaster/1',
      'rediss+cluster://user:p@127.0.0.1:1,127.0.0.1:2',
    ]
    for (const url of forms) {
      const limiter = new RedisLimiter('1/s', { url, deadlineMs: 1 })
      await limiter.close()
    }
  })
})

describe('options', () => {
  it('are checked as those of the native limiter, and errors name those of Redis', () => {
    const wrong: [object, string][] = [
      [{}, 'one of url, client and storage'],
      [{ url: URL_, storage: URL_ }, 'must be given, got 2'],
      [{ url: 5 }, 'url'],
      [{ client: {} }, 'client'],
      [{ storage: {} }, 'storage'],
      [{ url: URL_, keyPrefix: 'a{b' }, 'keyPrefix'],
      [{ url: URL_, keyPrefix: 5 }, 'keyPrefix'],
      [{ url: URL_, onError: 'maybe' }, 'onError'],
      [{ url: URL_, deadlineMs: 0 }, 'deadlineMs'],
      [{ url: URL_, deadlineMs: Number.NaN }, 'deadlineMs'],
      [{ url: URL_, localDenials: 'soon' }, 'localDenials'],
      [{ url: URL_, lease: true }, 'lease'],
      [{ url: URL_, lease: { size: 0 } }, 'lease.size'],
      [{ url: URL_, lease: { size: 5, ttl: 'x' } }, 'lease.ttl'],
      [{ url: URL_, lease: { size: 5, tll: 5 } }, 'tll'],
      [{ url: URL_, processes: 1.5 }, 'processes'],
      [{ url: URL_, onStoreChange: 'log' }, 'onStoreChange'],
      [{ url: URL_, blockfor: 5 }, 'blockfor'],
      [{ url: URL_, algorithm: 'magic' }, 'algorithm'],
      [{ url: URL_, burst: 5, algorithm: 'fixed-window' }, 'burst'],
      [{ url: URL_, shared: true }, 'shared'],
    ]
    for (const [options, part] of wrong) {
      const open = (): unknown => new RedisLimiter('1/s', options as RedisLimiterOptions)
      expect(open, JSON.stringify(options)).toThrow(part)
    }
    expect(() => new RedisLimiter('1/fortnight' as '1/s', { url: URL_ })).toThrow('fortnight')
    const tooLarge = (): unknown =>
      new RedisLimiter('1000000/hour', { url: URL_, algorithm: 'sliding-log' })
    expect(tooLarge).toThrow(expect.objectContaining({ code: 'INVALID_LIMIT' }))
  })

  it('of Redis are refused where the counters are in memory', () => {
    const open = (): unknown => createLimiter({ limits: '1/s', onError: 'open' } as never)
    expect(open).toThrow('onError')
  })
})

describe('arguments', () => {
  it('are refused with the messages of the native limiter', async () => {
    const native = new RateLimiter('1/s')
    const created = createLimiter({ limits: '1/s', storage: 'memory:' })
    const redis = limiterForTest('1/s', { url: URL_, clock: new FakeClock() })
    const calls: [string, ...unknown[]][] = [
      ['check', 5],
      ['check', undefined],
      ['check', null],
      ['check', {}],
      ['check', 'x'.repeat(1_048_577)],
      ['check', 'k', -1],
      ['check', 'k', 1.5],
      ['check', 'k', Number.NaN],
      ['check', 'k', 2 ** 53],
      ['check', 'k', '1'],
      ['check', 'k', null],
      ['peek', 'k', -1],
      ['peek', 'k', 0.1],
      ['consume', 7],
      ['refund', 'k', -1],
      ['refund', 'k', true],
      ['block', 'k', 0],
      ['block', 'k', 'long'],
      ['block', 'k', 1e15],
      ['block', 'k'],
      ['reset', Symbol('s')],
    ]
    for (const [method, ...args] of calls) {
      const expected = await thrownBy(native, method, args)
      for (const limiter of [redis, created]) {
        const error = await rejectedBy(limiter, method, args)
        const seen = [error?.name, error?.code, error?.message]
        expect(seen, `${method} ${args.map(String)}`).toEqual([
          expected?.name,
          expected?.code,
          expected?.message,
        ])
      }
    }
  })

  it('calls of a closed limiter reject with the code CLOSED', async () => {
    const limiter = new RedisLimiter('1/s', { url: URL_ })
    const pending = limiter.check('k')
    await limiter.close()
    await limiter.close()
    await expect(pending).rejects.toThrow(expect.objectContaining({ code: 'CLOSED' }))
    for (const call of [limiter.check('k'), limiter.peek('k'), limiter.reset('k')]) {
      await expect(call).rejects.toThrow(expect.objectContaining({ code: 'CLOSED' }))
    }
  })
})

type Thrown = { name: string; code?: string; message: string } | undefined

async function thrownBy(limiter: object, method: string, args: unknown[]): Promise<Thrown> {
  try {
    await (limiter as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args)
    return undefined
  } catch (error) {
    return error as Thrown
  }
}

/** As `thrownBy`, for a method that must not throw before it answers. */
function rejectedBy(limiter: object, method: string, args: unknown[]): Promise<Thrown> {
  const call = (limiter as Record<string, (...args: unknown[]) => Promise<unknown>>)[method]
  const answer = call?.apply(limiter, args)
  expect(answer).toBeInstanceOf(Promise)
  return (answer ?? Promise.resolve()).then(
    () => undefined,
    (error: Thrown) => error,
  )
}
