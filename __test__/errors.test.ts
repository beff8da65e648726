import { inspect } from 'node:util'
import { createLimiter, InvalidLimit, RateLimiter } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { describe, expect, it, test } from 'vitest'

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing was thrown'
}

test.each(['5', '5 parsecs', '05 minutes', '', 'fortnight'])(
  'a duration %j is explained as a duration, not as a limit',
  (text) => {
    const wrong: [string, () => unknown][] = [
      ['blockFor', () => new RateLimiter('1/s', { blockFor: text })],
      ['slowDown', () => rateThrottle({ limits: '1/s', slowDown: text })],
      ['blockFor[1]', () => rateThrottle({ limits: '1/s', blockFor: ['1 minute', text] })],
    ]
    for (const [name, make] of wrong) {
      const message = messageOf(make)
      expect(message).toContain(name)
      expect(message).not.toContain('/minute')
      expect(message).not.toContain('/15 minutes')
      expect(message).toContain('minutes')
    }
  },
)

test('an invalid limit is explained as a limit', () => {
  expect(messageOf(() => new RateLimiter('5/parsec' as string))).toContain('100/minute')
  expect(messageOf(() => new RateLimiter('1/s', { blockFor: '5' }))).not.toContain('100/minute')
})

test.each([
  'hunter2secret',
  'hunter2:6379',
  'user:hunter2@host:6379',
  'hunter2@host',
  'shared:://hunter2@'.padEnd(99, 'x'),
])('a storage text that may be a password is not shown: %s', (text) => {
  const user = text.split(/[:@]/, 1)[0] ?? ''
  const makers: (() => unknown)[] = [
    () => createLimiter({ limits: '1/s', storage: text }),
    () => rateThrottle({ limits: '1/s', storage: text }),
    () => rateThrottle({ limits: '1/s', RATELIMIT_STORAGE_URL: text }),
  ]
  for (const make of makers) {
    const message = messageOf(make)
    expect(message).not.toContain('hunter2')
    if (user !== 'shared') expect(message).not.toMatch(new RegExp(`got.*${user}|not.*"${user}`))
    expect(message).toMatch(/memory:|shared:api/)
  }
})

describe('InvalidLimit', () => {
  it('is a RangeError that shows its name, code, text and position', () => {
    const error = new InvalidLimit('5 fortnights', 2, 'a unit', 'blockFor')
    expect(error).toBeInstanceOf(RangeError)
    expect(String(error)).toBe(
      'InvalidLimit: Invalid blockFor "5 fortnights" at position 2: expected a unit',
    )
    expect(Object.keys(error).sort()).toEqual(['code', 'position', 'text'])
    expect(inspect(error)).toMatch(/^InvalidLimit: Invalid blockFor/)
  })

  it('escapes the text and keeps 64 characters of it', () => {
    const error = new InvalidLimit('\n'.repeat(2 ** 20), 0, 'a count')
    expect(error.text).toBe(`${'\\u000a'.repeat(10)}...`)
    expect(new InvalidLimit('x'.repeat(64), 0, 'a count').text).toBe('x'.repeat(64))
    expect(new InvalidLimit('x'.repeat(65), 0, 'a count').text).toBe(`${'x'.repeat(61)}...`)
  })
})
