import { FakeClock, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { closeLimiters, limitersOf } from 'ratethrottle/decorators'
import { describe, expect, it } from 'vitest'
import { admitted, admittedOfParallel, own, thrownBy } from '../fixtures/calls.ts'
import { type Decorators, loadDecorated } from '../fixtures/compile.ts'
import type * as Classes from '../fixtures/decorated/classes.ts'

describe.each<Decorators>(['standard', 'legacy'])('%s decorators', (decorators) => {
  const { everyKind, stacked } = loadDecorated<typeof Classes>(decorators, 'classes')

  describe('one limit', () => {
    it('a sync method runs exactly N times of N + k, for all objects of the class together', () => {
      const Kinds = everyKind('5/hour')
      const [one, other] = [new Kinds(), new Kinds()]
      expect(admitted(4, () => one.sync(1)) + admitted(8, () => other.sync(1))).toBe(5)
      expect(one.runs + other.runs).toBe(5)
    })

    it('an async method runs exactly N times of 200 parallel calls, and the others reject', async () => {
      const kinds = new (everyKind('50/hour'))()
      expect(await admittedOfParallel(200, () => kinds.later(1))).toBe(50)
      expect(kinds.runs).toBe(50)
    })

    it('each method has a limit of its own', () => {
      const kinds = new (everyKind('1/hour'))()
      expect([kinds.sync(1), kinds.generate(1).next().value, Number(kinds)]).toEqual([1, 2, 3])
    })

    it('a static method is limited', () => {
      const Kinds = everyKind('2/hour')
      expect(admitted(5, () => Kinds.shared(1))).toBe(2)
      expect(Kinds.runs).toBe(2)
    })

    it('a method with a symbol as its name is limited', () => {
      const kinds = new (everyKind('2/hour'))()
      expect(admitted(5, () => Number(kinds))).toBe(2)
      expect(kinds.runs).toBe(2)
    })

    it('the denial carries the decision', () => {
      const kinds = new (everyKind('1/minute'))()
      kinds.sync(1)
      const error = thrownBy(() => kinds.sync(1)) as RateLimitExceeded
      expect(error).toBeInstanceOf(RateLimitExceeded)
      expect(error.decision).toMatchObject({ allowed: false, limit: 1, remaining: 0 })
      expect(error.retryAfter).toBe(60)
    })
  })

  describe('how a denial reaches the caller', () => {
    it('an async method rejects, and never throws', async () => {
      const kinds = new (everyKind('1/hour'))()
      expect(await kinds.later(1)).toBe(1)
      const denied = kinds.later(1)
      await expect(denied).rejects.toThrow(RateLimitExceeded)
      expect(kinds.runs).toBe(1)
    })

    it('a plain method that returned a promise before rejects too', async () => {
      const kinds = new (everyKind('1/hour'))()
      expect(await kinds.plainLater(1)).toBe(1)
      const denied = kinds.plainLater(1)
      await expect(denied).rejects.toThrow(RateLimitExceeded)
    })

    it('a denied generator throws when called; an admitted one yields and returns as before', () => {
      const kinds = new (everyKind('1/hour'))()
      const steps = kinds.generate(7)
      expect([steps.next(), steps.next()]).toEqual([
        { done: false, value: 7 },
        { done: true, value: 'end' },
      ])
      expect(thrownBy(() => kinds.generate(1))).toBeInstanceOf(RateLimitExceeded)
      expect(kinds.runs).toBe(7)
    })

    it('a denied async generator rejects the first next(), and causes no unhandled rejection without one', async () => {
      const kinds = new (everyKind('1/hour'))()
      const steps = kinds.stream(7)
      expect([await steps.next(), await steps.next()]).toEqual([
        { done: false, value: 7 },
        { done: true, value: 'end' },
      ])
      kinds.stream(1)
      await expect(kinds.stream(1).next()).rejects.toThrow(RateLimitExceeded)
      expect(kinds.runs).toBe(7)
    })
  })

  describe('the method stays what it was', () => {
    it('keeps name, length, this and arguments', () => {
      const Kinds = everyKind('5/hour')
      const { sync, later } = Kinds.prototype
      expect([sync.name, sync.length, later.name, later.length]).toEqual(['sync', 1, 'later', 1])
      expect([Kinds.shared.name, Kinds.prototype[Symbol.toPrimitive].name]).toEqual([
        'shared',
        '[Symbol.toPrimitive]',
      ])
      expect(sync.call({ runs: 40 } as never, 2)).toBe(42)
    })

    it('is no constructor, and is async if it was', () => {
      const { sync, later } = everyKind('5/hour').prototype
      expect(() => Reflect.construct(sync as never, [])).toThrow('not a constructor')
      expect(Object.prototype.toString.call(later)).toBe('[object AsyncFunction]')
    })

    it('its error reaches the caller unchanged, it runs once, and nothing is refunded', async () => {
      const foreign = new RateLimiter('1/hour')
      foreign.allow('k')
      const errors = [new Error('own'), thrownBy(() => foreign.consume('k')), 'text', undefined]
      const Stacked = stacked(['10/hour'], ['20/hour'])
      for (const [index, error] of errors.entries()) {
        const object = new Stacked()
        const fail = () => {
          throw error
        }
        const reject = () => Promise.reject(error)
        expect(thrownBy(() => object.run('', fail))).toBe(error)
        expect(object.runs).toBe(1)
        const rejected = object.run('', reject) as Promise<unknown>
        expect(await rejected.catch((reason) => [reason])).toEqual([error])
        expect(object.runs).toBe(2)
        const left = own(Stacked.prototype.run).map((limiter) => limiter.peek('run').remaining)
        expect(left).toEqual([10 - 2 * (index + 1), 20 - 2 * (index + 1)])
      }
    })
  })

  describe('two decorators', () => {
    const clock = new FakeClock()

    it.each([
      ['the inner one denies', '100/hour', '3/hour'],
      ['the outer one denies', '3/hour', '100/hour'],
    ])('are charged both or none when %s', (_, outer, inner) => {
      const Stacked = stacked([outer, { clock }], [inner, { clock }])
      const object = new Stacked()
      expect(admitted(50, () => object.run())).toBe(3)
      expect(object.runs).toBe(3)
      const left = own(Stacked.prototype.run).map((limiter) => limiter.peek('run').remaining)
      expect(left.sort((a, b) => a - b)).toEqual([0, 97])
    })

    it.each(['token-bucket', 'sliding-window', 'sliding-log', 'fixed-window'] as const)(
      'leave no charge in the other limiter when one denies: %s',
      (algorithm) => {
        const time = new FakeClock(1_000_000)
        const options = { clock: time, algorithm, key: () => 'k' }
        const Stacked = stacked(['10/hour', options], ['1/day', { ...options, cost: 1 }])
        const object = new Stacked()
        object.run()
        const [outer] = own(Stacked.prototype.run)
        const before = outer?.peek('k')
        expect(admitted(20, () => object.run())).toBe(0)
        expect(outer?.peek('k')).toEqual(before)
      },
    )

    it('refund exactly the cost of the call', () => {
      const Stacked = stacked(['10/hour', { clock, cost: 4 }], ['1/hour', { clock, cost: 2 }])
      const error = thrownBy(() => new Stacked().run()) as RateLimitExceeded
      expect(error.decision.retryAfterMs).toBe(Number.POSITIVE_INFINITY)
      expect(own(Stacked.prototype.run)[0]?.peek('run').remaining).toBe(10)
    })

    it('are checked in written order: the first that denies makes the decision', () => {
      const Stacked = stacked(['1/hour', { clock }], ['1/minute', { clock }])
      expect(own(Stacked.prototype.run).map(({ limits }) => limits[0]?.windowMs)).toEqual([
        3_600_000, 60_000,
      ])
      const object = new Stacked()
      object.run()
      const error = thrownBy(() => object.run()) as RateLimitExceeded
      expect(error.decision.retryAfterMs).toBe(3_600_000)
    })

    it('have separate keys', () => {
      const key = (name: unknown) => name as string
      const object = new (stacked(['5/hour'], ['2/hour', { key }]))()
      expect(admitted(4, () => object.run('ada'))).toBe(2)
      expect(admitted(4, () => object.run('bob'))).toBe(2)
      expect(admitted(4, () => object.run('eve'))).toBe(1)
    })

    it('that include a failing limiter refund what the others charged', () => {
      const Stacked = stacked(['5/hour'], ['5/hour'])
      const [outer, inner] = own(Stacked.prototype.run)
      inner?.close()
      const error = thrownBy(() => new Stacked().run())
      expect(error).toMatchObject({ code: 'CLOSED' })
      expect(outer?.peek('run').remaining).toBe(5)
    })
  })

  it('limitersOf finds the limiters, and closeLimiters closes those of the method', () => {
    const Kinds = everyKind('5/hour')
    const { sync, later } = Kinds.prototype
    expect(own(sync)).toHaveLength(1)
    expect(own(sync)[0]?.limits).toEqual([{ count: 5, windowMs: 3_600_000 }])
    expect(limitersOf(Kinds)).toEqual([])
    closeLimiters(sync)
    closeLimiters(sync)
    closeLimiters(Kinds)
    const error = thrownBy(() => new Kinds().sync(1))
    expect(error).toMatchObject({ code: 'CLOSED' })
    expect(own(later)[0]?.peek('later').remaining).toBe(5)
  })
})
