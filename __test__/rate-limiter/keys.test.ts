import { RateLimiter } from 'ratethrottle'
import { expect, it } from 'vitest'

/** Each of these keys has a separate budget: one unit each, and each is used up once. */
function areDistinct(keys: readonly string[]): void {
  const limiter = new RateLimiter('1/year', { capacity: 2 * keys.length + 100 })
  expect(new Set(keys).size).toBe(keys.length)
  for (const key of keys) expect(limiter.allow(key), JSON.stringify(key.slice(-8))).toBe(true)
  for (const key of keys) expect(limiter.allow(key)).toBe(false)
  limiter.close()
}

it('every lone surrogate is a separate key, and none equals the replacement character', () => {
  const lone = Array.from({ length: 2_048 }, (_, i) => String.fromCharCode(0xd800 + i))
  areDistinct([...lone, '\ufffd', '\ufffd\ufffd', 'k\ufffd', ...lone.map((unit) => `k${unit}`)])
})

it('every code unit from 0 to 255 is significant, at every position', () => {
  const units = Array.from({ length: 256 }, (_, i) => String.fromCharCode(i))
  areDistinct(units.flatMap((unit) => [unit, `a${unit}b`, `a${unit}c`, `${unit}${unit}`]))
})

it('texts that a narrower encoding would merge are separate keys', () => {
  areDistinct([
    'A',
    '\u0141',
    '\u0241',
    '\u00e9',
    '\u01e9',
    '\u65e5\u672c',
    '\u65e5\u6728',
    'K',
    '\u212a',
  ])
  areDistinct(['\u{1d56c}', '\u{1f600}', '\u{1f601}', '\ud83d', '\ude00'])
})

it('numeric strings are compared as text', () => {
  areDistinct(['1', '01', '1e3', '1000', ' 1', '1 ', '1.0', '+1', '-0', '0', ''])
})

it('property names of objects are ordinary keys', () => {
  areDistinct([...Object.getOwnPropertyNames(Object.prototype), 'prototype', 'then'])
})

it('long keys work, and every code unit is significant, also of a megabyte', () => {
  const lengths = [
    8, 15, 16, 63, 64, 250, 251, 252, 253, 255, 256, 257, 258, 1_023, 1_024, 70_000, 1_000_000,
  ]
  for (const letter of ['x', 'é', '日', '\ud800']) {
    areDistinct(
      lengths.flatMap((n) => [letter.repeat(n), `${letter.repeat(n)}a`, `${letter.repeat(n)}b`]),
    )
  }
})

it('a key cut from a long text or concatenated equals the same key written directly', () => {
  const limiter = new RateLimiter('2/year')
  const header = `${'h'.repeat(16_000)}user:42`
  expect(limiter.check(header.slice(-7)).remaining).toBe(1)
  expect(limiter.check(['user', '42'].join(':')).remaining).toBe(0)
  expect(limiter.allow('user:42')).toBe(false)
})
