import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { createLimiter, FakeClock, RateLimiter } from 'ratethrottle'
import { type Insight, type InsightInput, type InsightOptions, insight } from 'ratethrottle/insight'
import { afterEach, describe, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'

const open: { close(): void }[] = []

afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

function view(options: InsightOptions = {}): Insight {
  const made = insight(options)
  open.push(made)
  return made
}

describe('what limiters do is counted', () => {
  it('by the limit that denied, and not for calls that only ask', () => {
    const clock = new FakeClock()
    const seen = view({ clock })
    const limiter = new RateLimiter(['2/second', '3/minute'], { name: 'api', insight: seen, clock })
    expect([1, 2, 3].map(() => limiter.check('a').allowed)).toEqual([true, true, false])
    limiter.peek('a')
    limiter.check('a', 0)
    clock.advance(1_000)
    expect([1, 2].map(() => limiter.allow('a'))).toEqual([true, false])
    const [api] = seen.report().limits
    expect(api).toMatchObject({ name: 'api', admitted: 3, denied: 2, deniedBy: [1, 1] })
    expect(api?.limits).toEqual(['2/second', '3/minute'])
    expect(limiter.stats()).toMatchObject({ admitted: 3, denied: 2 })
    limiter.close()
  })

  it('a cost above the limit is a denial, a wrong argument is none', () => {
    const seen = view()
    const limiter = new RateLimiter('2/minute', { name: 'api', insight: seen })
    limiter.check('a', 5)
    expect(() => limiter.check('a', -1)).toThrow(RangeError)
    expect(() => limiter.allow(5 as never)).toThrow(TypeError)
    expect(seen.report().totals).toMatchObject({ admitted: 0, denied: 1 })
    limiter.close()
  })

  it('refunds, and one call that waits as one that was admitted', async () => {
    const seen = view()
    const limiter = new RateLimiter('1/100ms', { name: 'api', insight: seen })
    await limiter.wait('a')
    await limiter.wait('a')
    limiter.refund('a')
    expect(seen.report().totals).toMatchObject({ admitted: 2, denied: 0, refunded: 1 })
    limiter.close()
  })

  it('of two limiters apart, and of limiters of one name together', () => {
    const seen = view()
    const limiters = ['a', 'b', 'a'].map(
      (name) => new RateLimiter('9/minute', { name, insight: seen }),
    )
    for (const limiter of limiters) limiter.allow('k')
    const counts = seen.report().limits.map(({ name, admitted }) => [name, admitted])
    expect(counts).toEqual([
      ['a', 2],
      ['b', 1],
    ])
    for (const limiter of limiters) limiter.close()
  })

  it('of 100 limiters, the last ones as "other"', () => {
    const seen = view({ top: 0 })
    const limiters = Array.from(
      { length: 100 },
      (_, i) => new RateLimiter('9/minute', { name: `limit ${i}`, capacity: 10, insight: seen }),
    )
    for (const limiter of limiters) limiter.allow('k')
    const { limits, totals } = seen.report()
    expect(limits.length).toBe(65)
    expect(limits.at(-1)).toMatchObject({ name: 'other', admitted: 36 })
    expect(totals.admitted).toBe(100)
    for (const limiter of limiters) limiter.close()
  })

  it('by all threads that use the name of the insight', async () => {
    const name = `insight of threads ${process.pid}`
    const seen = view({ name })
    // Keeps the counters while one thread has ended and the next has not begun.
    const kept = new RateLimiter('5/hour', { name })
    const program = `
      const { RateLimiter } = require('ratethrottle')
      const { insight } = require('ratethrottle/insight')
      const seen = insight({ name: '${name}' })
      const limiter = new RateLimiter('5/hour', { name: '${name}', insight: seen })
      for (let i = 0; i < 1000; i++) limiter.allow('k')
      limiter.close()
      seen.close()`
    const workers = [1, 2, 3].map(() => new Worker(program, { eval: true }))
    await Promise.all(workers.map((one) => new Promise((done) => one.once('exit', done))))
    const { totals, processes } = seen.report()
    expect(totals).toMatchObject({ admitted: 5, denied: 2_995 })
    expect(processes).toBe(1)
    kept.close()
  })

  it('after close limiters go on, and count no more', () => {
    const seen = view()
    const limiter = new RateLimiter('9/minute', { insight: seen })
    seen.close()
    expect(limiter.allow('k')).toBe(true)
    expect(() => seen.report()).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    limiter.close()
  })

  it('wherever createLimiter counts', async () => {
    const seen = view()
    const limiter = createLimiter({ limits: '1/minute', name: 'made', insight: seen })
    await limiter.check('k')
    await limiter.check('k')
    expect(seen.report().limits[0]).toMatchObject({ name: 'made', admitted: 1, denied: 1 })
    await limiter.close()
  })
})

describe('over time', () => {
  it('a report of the last minute leaves out what was before', () => {
    const clock = new FakeClock()
    const seen = view({ clock })
    const limiter = new RateLimiter('1/hour', { name: 'api', insight: seen, clock })
    for (let i = 0; i < 3; i++) limiter.allow('k')
    clock.advance(600_000)
    limiter.allow('k')
    expect(seen.report().totals).toMatchObject({ admitted: 1, denied: 3 })
    expect(seen.report({ since: '1 minute' }).totals).toMatchObject({ admitted: 0, denied: 1 })
    expect(seen.report({ since: 601_000 }).totals).toMatchObject({ admitted: 1, denied: 3 })
    expect(() => seen.report({ since: 'yesterday' })).toThrow(/since/)
    // Else a misspelt one would show all the time that there was.
    for (const call of ['report', 'toCSV', 'toHTML'] as const)
      expect(() => seen[call]({ sinse: '1 minute' } as object)).toThrow('unknown option "sinse"')
    const misspelt = { unit: 'second', step: 5 } as const
    expect(() => seen.series(misspelt)).toThrow('unknown option "step"')
    limiter.close()
  })

  it('series have a point for each step, the newest last', () => {
    const clock = new FakeClock()
    const seen = view({ clock })
    const limiter = new RateLimiter('100/hour', { name: 'api', insight: seen, clock })
    clock.advance(7_200_000)
    for (const second of [0, 1, 3]) {
      for (let i = 0; i <= second; i++) limiter.allow('k')
      clock.advance(second === 1 ? 2_000 : 1_000)
    }
    const [api] = seen.series({ unit: 'second', steps: 5 })
    expect(api?.points.map(({ admitted }) => admitted)).toEqual([1, 2, 0, 4, 0])
    expect(api?.points.map(({ at }) => at - 7_200_000)).toEqual([0, 1, 2, 3, 4].map((s) => s * 1e3))
    expect(seen.series({ unit: 'hour', steps: 2 })[0]?.points.map((one) => one.admitted)).toEqual([
      0, 7,
    ])
    expect(() => seen.series({ unit: 'day' as never })).toThrow(/unit must be/)
    limiter.close()
  })
})

describe('keys', () => {
  it.each([
    ['plain', '203.0.113.77', '203.0.113.77'],
    ['mask', '203.0.113.77', '203.0.113.xxx'],
  ] as const)('in style %s: %s is shown as %s', (keys, key, shown) => {
    const seen = view({ keys })
    const limiter = new RateLimiter('1/minute', { insight: seen })
    for (let i = 0; i < 3; i++) limiter.allow(key)
    const { asked, denied } = seen.report().top
    expect(asked).toMatchObject([{ key: shown, count: 3, error: 0 }])
    expect(denied).toMatchObject([{ key: shown, count: 2, error: 0 }])
    limiter.close()
  })

  it('by default nothing of a key is in a report, and one key has one name', () => {
    const seen = view()
    const limiters = ['a', 'b'].map((name) => new RateLimiter('1/minute', { name, insight: seen }))
    for (const limiter of limiters) limiter.allow('alice@example.com')
    expect(JSON.stringify(seen)).not.toMatch(/alice|example/)
    const keys = seen.report().top.asked.map(({ key }) => key)
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{8}$/), keys[0]])
    expect(seen.keyName('alice@example.com')).toBe(keys[0])
    for (const limiter of limiters) limiter.close()
  })

  it.each(['allow', 'check'] as const)(
    'a key that comes late and then without a pause has its name: %s',
    (call) => {
      const seen = view({ keys: 'plain', top: 1 })
      const limiter = new RateLimiter('3/minute', { insight: seen })
      for (let i = 0; i < 40; i++) limiter[call](`early ${i % 10}`)
      for (let i = 0; i < 100; i++) limiter[call]('late')
      const { asked, denied } = seen.report().top
      expect([asked[0]?.key, denied[0]?.key]).toEqual(['late', 'late'])
      limiter.close()
    },
  )

  it('hostile keys stay texts of one line', () => {
    const seen = view({ keys: 'plain' })
    const limiter = new RateLimiter('9/minute', { insight: seen })
    const hostile = ['a\nb 9 9 9 x', '\ud800', '', '😀'.repeat(100), '1 2 3 4', '\u202egnp.exe']
    for (const key of hostile) limiter.allow(key)
    const { asked } = seen.report().top
    expect(asked.every(({ count, key }) => count === 1 && [...key].length <= 64)).toBe(true)
    expect(asked.map(({ key }) => key)).toContain('1 2 3 4')
    expect(asked.map(({ key }) => key)).toContain('(empty)')
    expect(asked.length).toBe(hostile.length)
    limiter.close()
  })

  it('a million keys, or ten, take the memory of few', () => {
    const seen = view({ keys: 'plain' })
    const limiter = new RateLimiter('9/minute', { capacity: 1_000, insight: seen })
    const fill = (from: number, to: number): void => {
      for (let i = from; i < to; i++) limiter.allow(`key ${i}`)
    }
    fill(0, 300_000)
    const before = process.memoryUsage().rss
    fill(300_000, byLength(1_000_000, 10_000_000))
    expect(process.memoryUsage().rss - before).toBeLessThan(30 * 2 ** 20)
    const { asked } = seen.report().top
    expect(asked.length).toBeLessThanOrEqual(100)
    limiter.close()
  })
})

describe('options', () => {
  it.each([
    [{ keys: 'all' }, /^keys must be/],
    [{ top: 1_001 }, /^top must be an integer from 0 to 1000/],
    [{ topp: 1 }, /topp/],
    [{ shared: true }, /shared: true requires name/],
    [{ alerts: {} }, /^alerts must be what alerts\(\) returns/],
  ])('%o is refused', (options, message) => {
    expect(() => insight(options as InsightOptions)).toThrow(message)
  })

  it.each([[{}], [true], ['view'], [{ counter: () => {} }]])(
    'a limiter refuses %o as its insight',
    (given) => {
      const wrong = { insight: given as never }
      expect(() => new RateLimiter('1/minute', wrong)).toThrow(/^insight must be what insight\(\)/)
    },
  )
})

describe('limiters of one name', () => {
  it('the one that is left speaks for the name when a newer one is closed', () => {
    const seen = view()
    const kept = new RateLimiter('3/minute', { name: 'api', insight: seen })
    const refused = new RateLimiter(['1/second', '5/minute'], { name: 'other', insight: seen })
    refused.close()
    const limits = (): unknown => seen.report().limits.find(({ name }) => name === 'api')?.limits
    for (let i = 0; i < 3; i++) {
      // As a reload that opens limiters, and is refused afterwards: under another state.
      const tried = new RateLimiter('9/hour', { insight: { ...asInput(seen, 'api') } })
      expect(limits()).toEqual(['9/hour'])
      tried.close()
    }
    expect(limits()).toEqual(['3/minute'])
    expect(seen.limiters().get('api')).toBe(kept)
    kept.close()
    expect(seen.limiters().has('api')).toBe(false)
    expect(limits()).toEqual(['3/minute'])
  })

  it('the one that is left speaks for the name when the program has dropped a newer one, too', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const seen = view()
    const kept = new RateLimiter('3/minute', { name: 'api', insight: seen })
    const dropped = () => new RateLimiter('9/hour', { insight: { ...asInput(seen, 'api') } }).limits
    dropped()
    await expect
      .poll(() => {
        collect()
        // What a poll has seen is kept until the next.
        return seen.limiters().get('api') === kept
      })
      .toBe(true)
    expect(seen.report().limits.find(({ name }) => name === 'api')?.limits).toEqual(['3/minute'])
    kept.close()
  })

  it('thousands that are made and closed have one row', () => {
    const seen = view()
    for (let i = 0; i < 2_000; i++) {
      const limiter = new RateLimiter('3/minute', { capacity: 1, insight: seen })
      limiter.allow('k')
      limiter.close()
    }
    expect(seen.report().limits).toMatchObject([{ name: '3/minute', admitted: 2_000 }])
  })
})

/** An insight that calls all limiters by one name. */
function asInput(seen: Insight, name: string): InsightInput {
  return {
    counter: (about) => seen.counter({ ...about, name }),
    shielded: () => {},
  }
}
