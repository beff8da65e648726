import { type ShieldOptions, shield } from 'ratethrottle/shield'
import { afterEach, describe, expect, it } from 'vitest'

/** One wrong value each, and what the error says: the option, what is accepted and what was given. */
const WRONG: readonly (readonly [wrong: object, says: string])[] = [
  [{ mode: 'on' }, 'mode must be "watch", "enforce" or "off", got "on"'],
  [{ mode: 1 }, 'mode must be "watch", "enforce" or "off", got 1'],
  [{ maxRate: 5 }, "maxRate must be a rate such as '50/second', got 5"],
  [{ maxRate: null }, "maxRate must be a rate such as '50/second', got null"],
  [{ maxRate: '1/s;2/s' }, 'maxRate must be a rate such as \'50/second\', got "1/s;2/s"'],
  [{ maxRate: 'fast' }, 'Invalid limit "fast" at position 0'],
  [{ maxRate: 'AUTO' }, 'Invalid limit "AUTO" at position 0'],
  [{ ceiling: '0/second' }, 'Invalid limit "0/second" at position 0'],
  [{ ceiling: ['50/second'] }, 'ceiling'],
  [{ ceiling: { count: 1, windowMs: 0 } }, 'ceiling.windowMs must be an integer from 1'],
  [{ regulars: [] }, 'regulars must be an object, got [array]'],
  [{ regulars: 12 }, 'regulars must be an object, got 12'],
  [{ regulars: { after: 'soon' } }, 'Invalid regulars.after "soon"'],
  [{ regulars: { after: '2 days' } }, 'regulars.after must be at most 1 day, got "2 days"'],
  [{ regulars: { after: 0 } }, 'regulars.after must be a duration'],
  [{ regulars: { requests: 0 } }, 'regulars.requests must be an integer from 1 to 100000, got 0'],
  [{ newcomers: { rate: 'x' } }, 'Invalid limit "x"'],
  [{ newcomers: { burst: 0 } }, 'newcomers.burst must be an integer from 1 to 100000, got 0'],
  [{ newcomers: { burst: '9' } }, 'newcomers.burst must be an integer from 1 to 100000, got "9"'],
  [
    { insistence: { strikes: 256 } },
    'insistence.strikes must be an integer from 1 to 255, got 256',
  ],
  [{ insistence: { strikes: Number.NaN } }, 'insistence.strikes must be an integer from 1 to 255'],
  [{ insistence: { within: -1 } }, 'insistence.within must be a duration'],
  [{ insistence: { block: [] } }, 'insistence.block must be a duration, or 1 to 8 of them, got'],
  [{ insistence: { block: Array(9).fill(1) } }, 'insistence.block must be a duration, or 1 to 8'],
  [{ insistence: { block: ['1 minute', 0] } }, 'insistence.block[1] must be a duration'],
  [{ insistence: { block: '8 days' } }, 'insistence.block[0] must be at most 7 days, got "8 days"'],
  [{ failures: { min: 2_001 } }, 'failures.min must be an integer from 1 to'],
  [{ failures: { share: 0 } }, 'failures.share must be a number above 0 and at most 1, got 0'],
  [{ failures: { share: '1' } }, 'failures.share must be a number above 0 and at most 1, got "1"'],
  [{ failures: { share: Number.NaN } }, 'failures.share must be a number above 0'],
  [{ failures: { distinctPaths: 65 } }, 'failures.distinctPaths must be an integer from 1 to'],
  [{ failures: { block: '1 year' } }, 'failures.block[0] must be at most 7 days, got "1 year"'],
  [{ prefixes: { ipv4: 7 } }, 'prefixes.ipv4 must be an integer from 8 to 32, got 7'],
  [{ prefixes: { ipv6: 65 } }, 'prefixes.ipv6 must be an integer from 16 to 64, got 65'],
  [{ prefixes: { share: 1.1 } }, 'prefixes.share must be a number above 0 and at most 1, got 1.1'],
  [{ allow: 5 }, 'allow must be a string or an array of strings, got 5'],
  [{ allow: '10.0.0.0/33' }, 'allow[0] must be an IP address, a CIDR range'],
  [{ sources: 63 }, 'sources must be an integer from 64 to 16777216, got 63'],
  [{ sources: 2 ** 24 + 1 }, 'sources must be an integer from 64 to 16777216, got 16777217'],
  [{ sources: '100' }, 'sources must be an integer from 64 to 16777216, got "100"'],
  [{ clock: {} }, 'clock must be an object with now(): number in milliseconds, got [object]'],
]

/** Options that there are not, and a part of what the error says. */
const UNKNOWN: readonly (readonly [unknown: object, says: string])[] = [
  [{ maxrate: '1/second' }, 'unknown option "maxrate"; did you mean maxRate?'],
  [{ blockDuration: 300 }, 'unknown option "blockDuration"'],
  [{ regulars: { since: '1 minute' } }, 'unknown option "since"; known are after, requests'],
  [{ newcomers: { pace: '1/second' } }, 'unknown option "pace"; known are rate, burst'],
  [{ insistence: { blocks: [] } }, 'unknown option "blocks"; known are strikes, within, block'],
  [{ failures: { max: 3 } }, 'unknown option "max"; known are min, share, distinctPaths, block'],
  [{ prefixes: { v4: 24 } }, 'unknown option "v4"; known are ipv4, ipv6, share'],
  [{ [Symbol('mode')]: 'off' }, 'unknown option Symbol(mode)'],
]

describe('options of a shield', () => {
  it.each(WRONG)('%j is refused by an error that names it', (wrong, says) => {
    for (const mode of ['watch', 'enforce', 'off'] as const) {
      const error = thrown(() => shield({ mode, ...wrong }))
      expect(error.message).toContain(says)
      expect(error.code).toMatch(/^INVALID_(OPTION|LIMIT)$/)
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
    }
  })

  it.each(UNKNOWN)('%j is unknown', (unknown, says) => {
    const error = thrown(() => shield(unknown as ShieldOptions))
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(says)
    expect(error.code).toBe('INVALID_OPTION')
  })

  it.each([null, [], 'enforce', 5, () => ({})])('%j is no options', (wrong) => {
    expect(() => shield(wrong as ShieldOptions)).toThrow('options must be an object, got')
  })

  it('have a default each', () => {
    for (const options of [undefined, {}, { mode: undefined, maxRate: undefined }]) {
      const guard = shield(options)
      expect(guard.mode).toBe('watch')
      guard.close()
    }
  })

  it('do not change when the object does', () => {
    const block = ['1 second']
    const options = { mode: 'enforce', allow: ['203.0.113.9'], insistence: { block } } as const
    const guard = shield(options)
    block[0] = '1 hour'
    ;(options as { mode: string }).mode = 'off'
    expect(guard.mode).toBe('enforce')
    for (let i = 0; i < 2_000; i++) guard.decide({ ip: '203.0.113.9' })
    expect(guard.decide({ ip: '203.0.113.9' }).level).toBe(0)
    guard.close()
  })
})

describe('a polluted Object.prototype', () => {
  const names = ['mode', 'maxRate', 'allow', 'after', 'strikes', 'share', 'block', 'sensitive']
  const prototype = Object.prototype as unknown as Record<string, unknown>

  afterEach(() => {
    for (const name of names) delete prototype[name]
  })

  it('sets no option', () => {
    for (const name of names) prototype[name] = 'polluted'
    const guard = shield({ regulars: {}, insistence: {}, failures: {}, prefixes: {} })
    expect(guard.mode).toBe('watch')
    guard.close()
  })
})

function thrown(act: () => void): Error & { readonly code?: string } {
  try {
    act()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was thrown')
}
