import { describe, expect, it } from 'vitest'
import { mustBe, printable } from '../ts/validate.ts'

describe('printable', () => {
  const trap = (): never => {
    throw new Error('user code ran')
  }
  const hostile = { toString: trap, toJSON: trap, valueOf: trap, [Symbol.toPrimitive]: trap }
  const handler = { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap }
  const revoked = Proxy.revocable([], {})
  revoked.revoke()

  // Behind functions, because the test runner itself trips over some of these.
  it.each<[() => unknown, string]>([
    [() => '100/minute', '"100/minute"'],
    [() => '', '""'],
    [() => 'a"b\\c', '"a\\"b\\\\c"'],
    [() => 'a\nb\u001b[31m\u0000\u2028\u202e', '"a\\u000ab\\u001b[31m\\u0000\\u2028\\u202e"'],
    [() => '\uff11\ud800', '"\\uff11\\ud800"'],
    [() => 0, '0'],
    [() => -0, '-0'],
    [() => Number.NaN, 'NaN'],
    [() => -Infinity, '-Infinity'],
    [() => 1e300, '1e+300'],
    [() => 5n, '5n'],
    [() => -5n, '-5n'],
    [() => 10n ** 30n - 1n, '999999999999999999999999999999n'],
    [() => 10n ** 30n, '[bigint of more than 30 digits]'],
    [() => -(10n ** 100_000n), '[bigint of more than 30 digits]'],
    [() => true, 'true'],
    [() => undefined, 'undefined'],
    [() => null, 'null'],
    [() => Symbol('x'), 'Symbol(x)'],
    [() => Symbol('\n'), 'Symbol(\\u000a)'],
    [() => Symbol(), 'Symbol()'],
    [() => trap, '[function]'],
    [() => class {}, '[function]'],
    [() => [1], '[array]'],
    [() => ({}), '[object]'],
    [() => Object.create(null), '[object]'],
    [() => hostile, '[object]'],
    [() => new Proxy({}, handler), '[object]'],
    [() => new Proxy([], handler), '[array]'],
    [() => new Proxy(trap, handler), '[function]'],
    [() => revoked.proxy, '[object]'],
  ])('prints %s as %s and runs none of its code', (value, expected) => {
    expect(printable(value())).toBe(expected)
  })

  it('is at most 64 characters long and never splits an escape', () => {
    const huge = ['x', '\0', '"', '\u{1f600}'].map((piece) => piece.repeat(2 ** 20))
    for (const value of [...huge, ...huge.map((text) => Symbol(text))]) {
      const text = printable(value)
      expect(text.length).toBeGreaterThan(50)
      expect(text.length).toBeLessThanOrEqual(64)
      expect(text).toMatch(/^("|Symbol\()([^\\]|\\["\\]|\\u[0-9a-f]{4})*\.\.\."?$/)
    }
  })

  it('shortens only longer texts', () => {
    expect(printable('x'.repeat(62))).toBe(`"${'x'.repeat(62)}"`)
    expect(printable('x'.repeat(63))).toBe(`"${'x'.repeat(59)}..."`)
  })
})

describe('mustBe', () => {
  it('names the argument, what is accepted and the value', () => {
    expect(mustBe('burst', 'an integer', '5')).toBe('burst must be an integer, got "5"')
  })
})
