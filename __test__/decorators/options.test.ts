import { InvalidLimit, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { admitted, own, thrownBy } from '../fixtures/calls.ts'
import { type Decorators, loadDecorated } from '../fixtures/compile.ts'
import type * as Classes from '../fixtures/decorated/classes.ts'

describe.each<Decorators>(['standard', 'legacy'])('%s decorators', (decorators) => {
  const { keyed, define, defineWith } = loadDecorated<typeof Classes>(decorators, 'classes')

  describe('keys and costs', () => {
    it('a key function may use the arguments', () => {
      const object = new (keyed('2/hour'))(1)
      expect(admitted(5, () => object.byArgument('ada'))).toBe(2)
      expect(admitted(5, () => object.byArgument('bob'))).toBe(2)
    })

    it('a key function may use this, and return a number', () => {
      const Keyed = keyed('2/hour')
      expect(admitted(5, () => new Keyed(1).byObject())).toBe(2)
      expect(admitted(5, () => new Keyed(2).byObject())).toBe(2)
      expect(own(Keyed.prototype.byObject)[0]?.peek('1').remaining).toBe(0)
    })

    it('a cost function may use the arguments', () => {
      const object = new (keyed('10/hour'))(1)
      expect(admitted(5, () => object.costly(4))).toBe(2)
      expect(admitted(5, () => object.costly(1))).toBe(2)
    })

    it('an invalid cost is refused, and does not count as 1', () => {
      const Keyed = keyed('10/hour')
      const object = new Keyed(1)
      for (const cost of [undefined, null, '1', 1n]) {
        expect(() => object.costly(cost as never)).toThrow(TypeError)
      }
      for (const cost of [-1, 0.5, Number.NaN]) {
        expect(() => object.costly(cost)).toThrow(/^cost must be .*, got /)
      }
      expect(own(Keyed.prototype.costly)[0]?.peek('costly').remaining).toBe(10)
    })

    it('an invalid key, or a key function that throws, is a TypeError that names key', () => {
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

  describe('the class definition throws when', () => {
    it('its limits are invalid', () => {
      expect(() => define('10/fortnight')).toThrow(InvalidLimit)
      expect(() => define('0/minute')).toThrow(InvalidLimit)
      expect(() => define({ count: 1 })).toThrow(/^limits.windowMs must be/)
      expect(() => define(undefined)).toThrow(/^limits must be/)
    })

    it('an option is invalid', () => {
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

    it('the limiter is not a limiter, or is given beside limits', () => {
      for (const limiter of [undefined, null, 'redis:', {}, { check() {} }]) {
        expect(() => defineWith({ limiter })).toThrow(/^limiter must be a limiter/)
      }
      const limiter = new RateLimiter('1/s')
      expect(() => defineWith({ limiter, burst: 2 })).toThrow(/^unknown option "burst"/)
      expect(() => define('1/minute', { limiter })).toThrow(/^unknown option "limiter"/)
      expect(() => define({ limiter }, {})).toThrow(/^options must be left out/)
    })
  })
})
