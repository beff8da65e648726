import {
  type Decision,
  FakeClock,
  InvalidLimit,
  RateLimitExceeded,
  RateLimiter,
} from 'ratethrottle'
import { closeLimiters, limit, limitersOf } from 'ratethrottle/decorators'
import { describe, expect, it } from 'vitest'
import { type Decorators, loadDecorated } from './fixtures/compile.ts'
import type * as Classes from './fixtures/decorated/classes.ts'
import type * as Private from './fixtures/decorated/private.ts'

/** How often `act` ran without being denied, of so many times; anything but a denial is an error. */
function admitted(times: number, act: () => unknown): number {
  let count = 0
  for (let i = 0; i < times; i++) {
    try {
      act()
      count += 1
    } catch (error) {
      if (!(error instanceof RateLimitExceeded)) throw error
    }
  }
  return count
}

async function admittedOfParallel(times: number, act: () => Promise<unknown>): Promise<number> {
  const results = await Promise.allSettled(Array.from({ length: times }, act))
  const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  for (const reason of reasons) expect(reason).toBeInstanceOf(RateLimitExceeded)
  return times - reasons.length
}

function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

function own(method: object): RateLimiter[] {
  return limitersOf(method) as RateLimiter[]
}

describe.each<Decorators>(['standard', 'legacy'])('%s decorators', (decorators) => {
  const { everyKind, stacked, keyed, define, defineWith } = loadDecorated<typeof Classes>(
    decorators,
    'classes',
  )

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

    it('a method named by a symbol is limited', () => {
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

  describe('how a denial arrives', () => {
    it('an async method rejects, and never throws', async () => {
      const kinds = new (everyKind('1/hour'))()
      expect(await kinds.later(1)).toBe(1)
      const denied = kinds.later(1)
      await expect(denied).rejects.toThrow(RateLimitExceeded)
      expect(kinds.runs).toBe(1)
    })

    it('a plain method that has answered with a promise before rejects too', async () => {
      const kinds = new (everyKind('1/hour'))()
      expect(await kinds.plainLater(1)).toBe(1)
      const denied = kinds.plainLater(1)
      await expect(denied).rejects.toThrow(RateLimitExceeded)
    })

    it('a generator throws when called, and yields and returns as ever when admitted', () => {
      const kinds = new (everyKind('1/hour'))()
      const steps = kinds.generate(7)
      expect([steps.next(), steps.next()]).toEqual([
        { done: false, value: 7 },
        { done: true, value: 'end' },
      ])
      expect(thrownBy(() => kinds.generate(1))).toBeInstanceOf(RateLimitExceeded)
      expect(kinds.runs).toBe(7)
    })

    it('an async generator rejects the first next(), and harms nobody who never asks', async () => {
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

    it('is no constructor, and async where it was', () => {
      const { sync, later } = everyKind('5/hour').prototype
      expect(() => Reflect.construct(sync as never, [])).toThrow('not a constructor')
      expect(Object.prototype.toString.call(later)).toBe('[object AsyncFunction]')
    })

    it('its own error arrives as it is, it runs once, and nothing is given back', async () => {
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
      'a denied call leaves no trace in the other limiter: %s',
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

    it('give back as much as the call cost', () => {
      const Stacked = stacked(['10/hour', { clock, cost: 4 }], ['1/hour', { clock, cost: 2 }])
      const error = thrownBy(() => new Stacked().run()) as RateLimitExceeded
      expect(error.decision.retryAfterMs).toBe(Number.POSITIVE_INFINITY)
      expect(own(Stacked.prototype.run)[0]?.peek('run').remaining).toBe(10)
    })

    it('are checked in written order: the first that denies is the one that says so', () => {
      const Stacked = stacked(['1/hour', { clock }], ['1/minute', { clock }])
      expect(own(Stacked.prototype.run).map(({ limits }) => limits[0]?.windowMs)).toEqual([
        3_600_000, 60_000,
      ])
      const object = new Stacked()
      object.run()
      const error = thrownBy(() => object.run()) as RateLimitExceeded
      expect(error.decision.retryAfterMs).toBe(3_600_000)
    })

    it('have keys of their own', () => {
      const key = (name: unknown) => name as string
      const object = new (stacked(['5/hour'], ['2/hour', { key }]))()
      expect(admitted(4, () => object.run('ada'))).toBe(2)
      expect(admitted(4, () => object.run('bob'))).toBe(2)
      expect(admitted(4, () => object.run('eve'))).toBe(1)
    })

    it('a limiter that fails gives back what the others charged', () => {
      const Stacked = stacked(['5/hour'], ['5/hour'])
      const [outer, inner] = own(Stacked.prototype.run)
      inner?.close()
      const error = thrownBy(() => new Stacked().run())
      expect(error).toMatchObject({ code: 'CLOSED' })
      expect(outer?.peek('run').remaining).toBe(5)
    })
  })

  describe('keys and costs', () => {
    it('a key by argument', () => {
      const object = new (keyed('2/hour'))(1)
      expect(admitted(5, () => object.byArgument('ada'))).toBe(2)
      expect(admitted(5, () => object.byArgument('bob'))).toBe(2)
    })

    it('a key by this, a number', () => {
      const Keyed = keyed('2/hour')
      expect(admitted(5, () => new Keyed(1).byObject())).toBe(2)
      expect(admitted(5, () => new Keyed(2).byObject())).toBe(2)
      expect(own(Keyed.prototype.byObject)[0]?.peek('1').remaining).toBe(0)
    })

    it('a cost by argument', () => {
      const object = new (keyed('10/hour'))(1)
      expect(admitted(5, () => object.costly(4))).toBe(2)
      expect(admitted(5, () => object.costly(1))).toBe(2)
    })

    it('a cost that is none is refused, and not taken for 1', () => {
      const Keyed = keyed('10/hour')
      const object = new Keyed(1)
      for (const cost of [undefined, null, '1', 1n]) {
        expect(() => object.costly(cost as never)).toThrow(TypeError)
      }
      for (const cost of [-1, 0.5, Number.NaN]) {
        expect(() => object.costly(cost)).toThrow(/^cost must be .*, not /)
      }
      expect(own(Keyed.prototype.costly)[0]?.peek('costly').remaining).toBe(10)
    })

    it('a key that is none, or a key function that throws: a TypeError that names key', () => {
      const Keyed = keyed('5/hour')
      const object = new Keyed(1)
      const cause = new Error('of the key function')
      const fail = () => {
        throw cause
      }
      const keys = [undefined, null, true, {}, 1.5, Number.NaN, 2 ** 53, 1n, Symbol('s'), fail]
      for (const key of keys) {
        const error = thrownBy(() => object.byAnything(key)) as Error
        expect(error).toBeInstanceOf(TypeError)
        expect(error.message).toMatch(/\bkey\b/)
        if (key === fail) expect(error.cause).toBe(cause)
      }
      expect(object.runs).toBe(0)
      const left = own(Keyed.prototype.byAnything)[0]?.peek('byAnything').remaining
      expect(left, 'the other decorator was not charged').toBe(2)
    })
  })

  describe('the class is not defined when', () => {
    it('its limits are wrong', () => {
      expect(() => define('10/fortnight')).toThrow(InvalidLimit)
      expect(() => define('0/minute')).toThrow(InvalidLimit)
      expect(() => define({ count: 1 })).toThrow(/^limits.windowMs must be/)
      expect(() => define(undefined)).toThrow(/^limits must be/)
    })

    it('an option is wrong', () => {
      const wrong: [unknown, RegExp][] = [
        [{ algorithm: 'magic' }, /^algorithm must be/],
        [{ burst: 0 }, /^burst must be/],
        [{ key: 'name' }, /^key must be a function/],
        [{ cost: -1 }, /^cost must be/],
        [{ cost: '1' }, /^cost must be/],
        [{ costs: 1 }, /^unknown option "costs"/],
        [null, /^options must be an object/],
      ]
      for (const [options, message] of wrong) {
        expect(() => define('1/minute', options)).toThrow(message)
      }
    })

    it('the limiter is none, or stands beside limits', () => {
      for (const limiter of [undefined, null, 'redis:', {}, { check() {} }]) {
        expect(() => defineWith({ limiter })).toThrow(/^limiter must be a limiter/)
      }
      const limiter = new RateLimiter('1/s')
      expect(() => defineWith({ limiter, burst: 2 })).toThrow(/^unknown option "burst"/)
      expect(() => define('1/minute', { limiter })).toThrow(/^unknown option "limiter"/)
      expect(() => define({ limiter }, {})).toThrow(/^options must be left out/)
    })
  })

  it('limitersOf finds the limiters, and closeLimiters closes those of the method', () => {
    const Kinds = everyKind('5/hour')
    const { sync, later } = Kinds.prototype
    expect(own(sync)).toHaveLength(1)
    expect(own(sync)[0]?.limits).toEqual([{ count: 5, windowMs: 3_600_000 }])
    expect(limitersOf(define)).toEqual([])
    closeLimiters(sync)
    closeLimiters(sync)
    closeLimiters(define)
    const error = thrownBy(() => new Kinds().sync(1))
    expect(error).toMatchObject({ code: 'CLOSED' })
    expect(own(later)[0]?.peek('later').remaining).toBe(5)
  })
})

describe('private methods', () => {
  const { hidden } = loadDecorated<typeof Private>('standard', 'private')

  it('are limited, static ones too', () => {
    const Hidden = hidden('3/hour')
    const object = new Hidden()
    expect([object.method(1), Hidden.shared(1)]).toEqual([2, 3])
    expect(admitted(9, () => object.method(1))).toBe(2)
    expect(admitted(9, () => Hidden.shared(1))).toBe(2)
  })

  it('keep their names, and show their limiters to their class', () => {
    const object = new (hidden('3/hour'))()
    expect(object.names()).toEqual(['#method', '#shared'])
    expect(object.limiters()).toBe(1)
  })
})

describe('by hand', () => {
  const context = { kind: 'method', name: 'm' } as ClassMethodDecoratorContext
  const method = { m: (by: number) => by }.m

  it('a decorator is kept and used twice: each method has a limiter of its own', () => {
    const twice = limit('1/hour')
    const [one, other] = [twice(method, context), twice(method, context)]
    expect([one(1), other(2)]).toEqual([1, 2])
    expect([thrownBy(() => one(1)), thrownBy(() => other(1))]).toHaveLength(2)
  })

  it('wrong limits throw before there is a method', () => {
    expect(() => limit('10/fortnight' as string)).toThrow(InvalidLimit)
  })

  it('on anything but a method: a TypeError', () => {
    const decorate = limit('1/hour') as (...target: unknown[]) => unknown
    for (const kind of ['class', 'getter', 'setter', 'field', 'accessor']) {
      expect(() => decorate(method, { kind, name: 'm' })).toThrow(/^@limit must be on a method/)
    }
    for (const target of [[class {}], [{}, 'm'], [{}, 'm', { get: method }], [{}, 'm', 0]]) {
      expect(() => decorate(...target)).toThrow(/^@limit must be on a method/)
    }
  })

  it('a legacy decorator changes the descriptor it is given, as callers do who drop its answer', () => {
    const descriptor = { value: method, writable: true, enumerable: false, configurable: true }
    const answer: unknown = limit('1/hour')({}, 'm', descriptor)
    expect(answer).toBe(descriptor)
    expect(descriptor.value(1)).toBe(1)
    expect(thrownBy(() => descriptor.value(1))).toBeInstanceOf(RateLimitExceeded)
  })

  it('what other decorators hang on the method, before or after, is found on the limited one', () => {
    const plain = { m: () => 1 }.m
    const limited = limit('1/hour')(limit('1/hour')(plain, context), context)
    Object.assign(plain, { path: '/m' })
    expect(limited).toHaveProperty('path', '/m')
  })

  it('a foreign decorator in between: both limit, each on its own', () => {
    const counted = limit('1/hour')(method, context)
    const traced = (by: number) => counted(by)
    const limited = limit('9/hour')(traced, context)
    expect(admitted(5, () => limited(1))).toBe(1)
    expect(limitersOf(limited)).toHaveLength(1)
  })

  it('several limits in one decorator, and a decision per call', () => {
    const seen: Decision[] = []
    const limiter = new RateLimiter(['5/hour', '3/day'])
    const limited = limit({ limiter, key: (by: number) => by })(method, context)
    expect(admitted(9, () => limited(7))).toBe(3)
    seen.push(limiter.peek('7'))
    expect(seen).toMatchObject([{ allowed: false, policy: 1 }])
  })
})
