import { type Decision, InvalidLimit, RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { limit, limitersOf } from 'ratethrottle/decorators'
import { describe, expect, it } from 'vitest'
import { admitted, own, thrownBy } from '../fixtures/calls.ts'
import { loadDecorated } from '../fixtures/compile.ts'
import type * as Private from '../fixtures/decorated/private.ts'

describe('private methods', () => {
  const { hidden } = loadDecorated<typeof Private>('standard', 'private')

  it('are limited, also static ones', () => {
    const Hidden = hidden('3/hour')
    const object = new Hidden()
    expect([object.method(1), Hidden.shared(1)]).toEqual([2, 3])
    expect(admitted(9, () => object.method(1))).toBe(2)
    expect(admitted(9, () => Hidden.shared(1))).toBe(2)
  })

  it('keep their names, and limitersOf finds their limiters', () => {
    const object = new (hidden('3/hour'))()
    expect(object.names()).toEqual(['#method', '#shared'])
    expect(object.limiters()).toBe(1)
  })
})

describe('a decorator called by hand', () => {
  const context = { kind: 'method', name: 'm' } as ClassMethodDecoratorContext
  const method = { m: (by: number) => by }.m

  it('used twice gives each method its own limiter', () => {
    const twice = limit('1/hour')
    const [one, other] = [twice(method, context), twice(method, context)]
    expect([one(1), other(2)]).toEqual([1, 2])
    expect([thrownBy(() => one(1)), thrownBy(() => other(1))]).toHaveLength(2)
  })

  it('without a key function reserves memory for one key', () => {
    const bytes = (options?: object) =>
      own(limit('1/hour', options)(method, context))[0]?.stats().bytes
    expect(bytes()).toBeLessThan(50_000)
    expect(bytes({ key: String })).toBeGreaterThan(1_000_000)
    expect(bytes({ capacity: 50_000 })).toBeGreaterThan(1_000_000)
  })

  it('with the same name shares one limiter, with and without a key function', () => {
    const name = 'decorators by hand'
    const one = limit('3/hour', { name })(method, context)
    const other = limit('3/hour', { name, key: () => 'm' })(method, context)
    expect(admitted(2, () => one(1)) + admitted(9, () => other(1))).toBe(3)
  })

  it('throws for invalid limits before it sees a method', () => {
    expect(() => limit('10/fortnight' as string)).toThrow(InvalidLimit)
  })

  it('throws a TypeError for anything other than a method', () => {
    const decorate = limit('1/hour') as (...target: unknown[]) => unknown
    for (const kind of ['class', 'getter', 'setter', 'field', 'accessor']) {
      expect(() => decorate(method, { kind, name: 'm' })).toThrow(/^@limit must be on a method/)
    }
    for (const target of [[class {}], [{}, 'm'], [{}, 'm', { get: method }], [{}, 'm', 0]]) {
      expect(() => decorate(...target)).toThrow(/^@limit must be on a method/)
    }
  })

  it('as a legacy decorator also changes the descriptor, for callers that ignore the result', () => {
    const descriptor = { value: method, writable: true, enumerable: false, configurable: true }
    const answer: unknown = limit('1/hour')({}, 'm', descriptor)
    expect(answer).toBe(descriptor)
    expect(descriptor.value(1)).toBe(1)
    expect(thrownBy(() => descriptor.value(1))).toBeInstanceOf(RateLimitExceeded)
  })

  it('keeps properties that other decorators set on the method, before or after', () => {
    const plain = { m: () => 1 }.m
    const limited = limit('1/hour')(limit('1/hour')(plain, context), context)
    Object.assign(plain, { path: '/m' })
    expect(limited).toHaveProperty('path', '/m')
  })

  it('around a foreign decorator of a limited method keeps both limits', () => {
    const counted = limit('1/hour')(method, context)
    const traced = (by: number) => counted(by)
    const limited = limit('9/hour')(traced, context)
    expect(admitted(5, () => limited(1))).toBe(1)
    expect(limitersOf(limited)).toHaveLength(1)
  })

  it('takes a limiter with several limits, and makes one decision per call', () => {
    const seen: Decision[] = []
    const limiter = new RateLimiter(['5/hour', '3/day'])
    const limited = limit({ limiter, key: (by: number) => by })(method, context)
    expect(admitted(9, () => limited(7))).toBe(3)
    seen.push(limiter.peek('7'))
    expect(seen).toMatchObject([{ allowed: false, policy: 1 }])
  })
})
