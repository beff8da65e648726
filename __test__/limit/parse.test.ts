import { describe, expect, it } from 'vitest'
import { InvalidLimit } from '../../ts/errors.ts'
import type { Limit } from '../../ts/limit/limit.ts'
import { parseLimits, readLimits } from '../../ts/limit/parse.ts'
import { byLength } from '../fixtures/long.ts'
import { hostileText, randomFrom, SEED, validSample } from './generate.ts'
import { referenceParse } from './reference.ts'
import { ACCEPTED, MISTAKES } from './texts.ts'

const TEXTS = byLength(30_000, 120_000)
const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** The error a call throws; the test fails if it throws none. */
function thrownBy(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

function refusal(limits: unknown): InvalidLimit {
  const error = thrownBy(() => readLimits(limits))
  expect(error).toBeInstanceOf(InvalidLimit)
  return error as InvalidLimit
}

describe('one limit', () => {
  it.each([
    ['5/second 10/seconds 100/sec 50/s', [5, 10, 100, 50], SECOND],
    ['5/minute 10/minutes 100/min 50/m', [5, 10, 100, 50], MINUTE],
    ['5/hour 10/hours 100/hr 50/h', [5, 10, 100, 50], HOUR],
    ['5/day 10/days 50/d', [5, 10, 50], DAY],
    ['5/ms 10/millisecond 50/milliseconds', [5, 10, 50], 1],
    ['5/week 10/weeks 50/w', [5, 10, 50], 7 * DAY],
    ['5/secs', [5], SECOND],
    ['5/mins', [5], MINUTE],
    ['5/hrs', [5], HOUR],
    ['5/month 10/months', [5, 10], 30 * DAY],
    ['5/year 10/years', [5, 10], 365 * DAY],
  ])('knows the unit family in %s', (texts, counts, windowMs) => {
    const parsed = texts.split(' ').map((text) => parseLimits(text))
    expect(parsed).toEqual(counts.map((count) => [{ count, windowMs }]))
  })

  it('allows spaces around both parts', () => {
    expect(parseLimits('  100  /  minute  ')).toEqual([{ count: 100, windowMs: MINUTE }])
  })

  it.each([
    ['100', 3, '"/" or " per "'],
    ['abc/minute', 0, 'a count from 1 to 1000000000'],
    ['10/fortnight', 3, 'a unit: ms, s, min, h, d, w, month or year'],
    ['-5/minute', 0, 'a count'],
    ['0/minute', 0, 'a count from 1'],
  ])('refuses %s and names the cause', (text, position, expected) => {
    const error = refusal(text)
    expect(error.position).toBe(position)
    expect(error.message).toContain(
      `Invalid limit "${text}" at position ${position}: expected ${expected}`,
    )
  })

  it.each([
    ['100/minute', 100, MINUTE],
    ['100 per minute', 100, MINUTE],
    ['10/15 minutes', 10, 15 * MINUTE],
    ['10/15minutes', 10, 15 * MINUTE],
    ['5 per 300s', 5, 300 * SECOND],
    ['1 per 3 hour', 1, 3 * HOUR],
    ['1/2 day', 1, 2 * DAY],
    ['5/7ms', 5, 7],
    ['1/SECOND', 1, SECOND],
    ['1 / Second', 1, SECOND],
    ['1\tPER\t2\tMs', 1, 2],
    ['1000000000/10 years', 1_000_000_000, 3_650 * DAY],
    ['1/315360000000ms', 1, 3_650 * DAY],
  ])('reads %s', (text, count, windowMs) => {
    expect(parseLimits(text)).toEqual([{ count, windowMs }])
  })
})

describe('several limits', () => {
  const both = [
    { count: 1000, windowMs: HOUR },
    { count: 20, windowMs: SECOND },
  ]

  it.each([
    '1000/hour; 20/second',
    '1000/hour,20/second',
    '1000 per hour | 20/s',
    ' 1000/h\t;\t20/s ',
  ])('reads the list %j in order', (text) => {
    expect(parseLimits(text)).toEqual(both)
  })

  it('reads arrays of texts, objects and lists, in order', () => {
    const limits = ['1/s; 2/s', { count: 3, windowMs: 1 }, '4/s'] as const
    expect(parseLimits(limits).map((limit) => limit.count)).toEqual([1, 2, 3, 4])
  })

  it('keeps duplicates, so an index refers to the limit as written', () => {
    expect(parseLimits('5/s, 5/s')).toHaveLength(2)
  })

  it('takes sixteen and refuses a seventeenth, from a list, an array or both', () => {
    const sixteen = Array.from({ length: 16 }, () => '5/s')
    expect(parseLimits(sixteen)).toHaveLength(16)
    expect(parseLimits(sixteen.join(';'))).toHaveLength(16)
    expect(refusal([...sixteen, '5/s'].join(';'))).toMatchObject({ position: 64 })
    expect(refusal([...sixteen, '5/s'].join(';')).message).toContain('expected at most 16 limits')
    expect(refusal([...sixteen.slice(1), '5/s; 6/s'])).toMatchObject({ position: 5 })
    expect(() => parseLimits([...sixteen, '5/s'])).toThrow(RangeError)
    expect(() => parseLimits([...sixteen, '5/s'])).toThrow(/^limits must hold at most 16 limits/)
  })

  it('returns frozen limits, and accepts them again', () => {
    const limits = parseLimits('5/s; 6/s')
    expect(Object.isFrozen(limits)).toBe(true)
    expect(limits.every((limit) => Object.isFrozen(limit))).toBe(true)
    expect(parseLimits(limits)).toEqual(limits)
    expect(Object.isFrozen(parseLimits(limits))).toBe(true)
    expect(Object.isFrozen(parseLimits({ count: 1, windowMs: 1 })[0])).toBe(true)
  })
})

describe('errors give the position', () => {
  it.each([
    ['', 0],
    [' \t ', 3],
    ['/minute', 0],
    ['per minute', 0],
    ['minute', 0],
    ['010/minute', 0],
    ['00/minute', 0],
    ['+5/minute', 0],
    ['−5/minute', 0],
    ['NaN/minute', 0],
    ['Infinity/minute', 0],
    ['\uff11\uff10/minute', 0],
    ['\u0661/minute', 0],
    ['\x005/minute', 0],
    ['\u00a05/minute', 0],
    ['\ufeff5/minute', 0],
    ['1000000001/s', 0],
    ['99999999999999999999999/s', 0],
    [`${'9'.repeat(1000)}/s`, 0],
    ['1_000/hour', 1],
    ['1,000/hour', 1],
    ['1.5/hour', 1],
    ['1e3/hour', 1],
    ['0x10/hour', 0],
    ['5n/hour', 1],
    ['1 000/hour', 2],
    ['5\uff11/s', 1],
    ['5\0/s', 1],
    ['5\u00a0/s', 1],
    ['5\n/s', 1],
    ['5\uff0fs', 1],
    ['5\u2044s', 1],
    ['5minute', 1],
    ['5per minute', 1],
    ['5 minute', 2],
    ['5 permin', 2],
    ['5 pers', 2],
    ['5 per', 5],
    ['5 per/s', 5],
    ['5 per2 s', 5],
    ['5 per\u00a0s', 5],
    ['5 per ', 6],
    ['5 per per s', 6],
    ['5 per / s', 6],
    ['5 / per s', 4],
    ['5/', 2],
    ['5/ ', 3],
    ['5//s', 2],
    ['5/\ns', 2],
    ['5/\0s', 2],
    ['5/15', 4],
    ['5/0 s', 2],
    ['5/00 s', 2],
    ['5/01 s', 2],
    ['5/-1 s', 2],
    ['5/+1 s', 2],
    ['5/1.5 s', 3],
    ['5/1,5 s', 3],
    ['5/1_0 s', 3],
    ['5/1e3 s', 3],
    ['5/2 2 s', 4],
    ['5/minuet', 2],
    ['5/minutess', 2],
    ['5/wee\u212as', 2],
    ['5/\u017f', 2],
    ['5/s\u200b', 3],
    ['5/mo', 2],
    ['5/y', 2],
    ['5/constructor', 2],
    ['5/__proto__', 2],
    ['5/toString', 2],
    ['5/11 years', 2],
    ['5/315360000001 ms', 2],
    [`5/${'9'.repeat(1000)} s`, 2],
    ['5/s/s', 3],
    ['5/s 6/s', 4],
    ['5/s2', 3],
    ['5/1m30s', 4],
    ['5/s\n', 3],
    ['5/s\n6/s', 3],
    ['5/s\0', 3],
    ['5/s.', 3],
    ['5/s&6/s', 3],
    ['5/s and 6/s', 4],
    ['5/s;', 4],
    ['5/s; ', 5],
    [';5/s', 0],
    ['5/s;;6/s', 4],
    ['5/s; ;6/s', 5],
    ['5/s\u037e6/s', 3],
    ['5/s,1,000/s', 5],
    ['5/s; 0/s', 5],
    ['5/s; 6/eon', 7],
    ['5/s|6/s|7', 9],
  ])('refuses %j at position %i', (text, position) => {
    const error = refusal(text)
    expect(error).toMatchObject({ name: 'InvalidLimit', code: 'INVALID_LIMIT', position })
    expect(error).toBeInstanceOf(RangeError)
    expect(error.text.length).toBeLessThanOrEqual(64)
    expect(error.message).toContain(`"${error.text}" at position ${position}: expected `)
    expect(error.message).toMatch(/^[\x20-\x7e]{1,300}$/)
  })

  it('names the right spelling for a thousand with a comma, an underscore or an exponent', () => {
    for (const text of ['1,000/hour', '1_000/hour', '1e3/hour', '1E3/hour', '1.5/hour']) {
      expect(refusal(text).message).toContain('1000, not 1,000, 1_000 or 1e3')
    }
    expect(refusal('100').message).not.toContain('1e3')
  })

  it('names the array element and the position within it', () => {
    const error = refusal(['5/s', '10/fortnight'])
    expect(error.position).toBe(3)
    expect(error.message).toContain('Invalid limits[1] "10/fortnight" at position 3')
  })

  it('has its own name first in the stack', () => {
    expect(refusal('x').stack).toMatch(/^InvalidLimit: Invalid limit "x" at position 0/)
  })

  it('refuses every invalid text and accepts every valid text of the shared lists', () => {
    for (const text of MISTAKES) refusal(text)
    for (const text of ACCEPTED) expect(parseLimits(text)).toEqual(referenceParse(text))
    expect(ACCEPTED.length).toBeGreaterThanOrEqual(60)
  })
})

describe('limits that are not strings', () => {
  it.each([
    [undefined, 'limits must be a limit string', 'got undefined'],
    [null, 'limits must be a limit string', 'got null'],
    [100, 'limits must be a limit string', 'got 100'],
    [Number.NaN, 'limits must be a limit string', 'got NaN'],
    [true, 'limits must be a limit string', 'got true'],
    [100n, 'limits must be a limit string', 'got 100n'],
    [Symbol('5/s'), 'limits must be a limit string', 'got Symbol(5/s)'],
    [() => '5/s', 'limits must be a limit string', 'got [function]'],
    [new String('5/s'), 'limits has the unknown property "0"', 'only count, windowMs and burst'],
    [new Date(), 'limits.count must be an integer from 1 to 1000000000', 'got undefined'],
    [new Map(), 'limits.count', 'got undefined'],
    [Object.create(null), 'limits.count', 'got undefined'],
    [{}, 'limits.count', 'got undefined'],
    [{ count: 5 }, 'limits.windowMs', 'got undefined'],
    [{ windowMs: 5 }, 'limits.count', 'got undefined'],
    [{ count: '5', windowMs: 5 }, 'limits.count', 'got "5"'],
    [{ count: 5n, windowMs: 5 }, 'limits.count', 'got 5n'],
    [{ count: 5, windowMs: null }, 'limits.windowMs', 'got null'],
    [{ count: 5, windowMs: '1s' }, 'limits.windowMs', 'got "1s"'],
    [{ count: 5, windowMs: 5, most: 9 }, 'limits has the unknown property "most"', 'only count'],
    [{ count: 5, windowMs: 5, burst: '9' }, 'limits.burst must be an integer', 'got "9"'],
    [{ count: 5, windowMs: 5, burst: null }, 'limits.burst', 'got null'],
    [{ count: 5, windowMs: 5, [Symbol('x')]: 9 }, 'unknown property Symbol(x)', 'only count'],
    [{ count: 5, windowMS: 5 }, 'limits has the unknown property "windowMS"', 'only count'],
    [[['5/s']], 'limits[0] has the unknown property "0"', 'only count'],
    [['5/s', undefined], 'limits[1] must be a limit string', 'got undefined'],
    [['5/s', 5], 'limits[1] must be a limit string', 'got 5'],
    [new Array(3), 'limits[0] must be a limit string', 'got undefined'],
    [['5/s', { count: 5, windowMs: '1' }], 'limits[1].windowMs', 'got "1"'],
  ])('refuses %o with a TypeError that names the argument', (limits, start, end) => {
    const error = thrownBy(() => readLimits(limits))
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).toContain(start)
    expect((error as Error).message).toContain(end)
  })

  const numbers = [Number.NaN, Infinity, -Infinity, 0, -0, 0.1, 1.5, -1, 2 ** 53, 2 ** 63, 1e21]

  it.each([...numbers, 1_000_000_001, 2 ** 53 - 1])('refuses the count %d', (count) => {
    const error = thrownBy(() => parseLimits({ count, windowMs: 1_000 }))
    expect(error).toBeInstanceOf(RangeError)
    expect(error).not.toBeInstanceOf(InvalidLimit)
    const shown = Object.is(count, -0) ? '-0' : String(count)
    expect((error as Error).message).toBe(
      `limits.count must be an integer from 1 to 1000000000, got ${shown}`,
    )
  })

  it.each([...numbers, 315_360_000_001, 2 ** 53 - 1])('refuses the window %d', (windowMs) => {
    const act = (): unknown => parseLimits(['5/s', { count: 1, windowMs }])
    expect(act).toThrow(RangeError)
    expect(act).toThrow('limits[1].windowMs must be an integer from 1 to 315360000000, got ')
  })

  it('accepts the ends of both ranges', () => {
    const ends = [
      { count: 1, windowMs: 1 },
      { count: 1_000_000_000, windowMs: 315_360_000_000 },
    ]
    expect(parseLimits(ends)).toEqual(ends)
  })

  it('refuses an empty list', () => {
    expect(() => readLimits([])).toThrow(RangeError)
    expect(() => readLimits([])).toThrow(/^limits must be a limit string .* got an empty array$/)
  })

  it('copies a limit, so later changes of the original have no effect', () => {
    const original = { count: 5, windowMs: 1_000 }
    const [limit] = parseLimits(original)
    original.count = Number.NaN
    expect(limit).toEqual({ count: 5, windowMs: 1_000 })
  })

  it('reads each property once, so that a getter cannot answer twice', () => {
    const reads = { count: 0, windowMs: 0 }
    const sly = {
      get count() {
        return reads.count++ === 0 ? 5 : Number.NaN
      },
      get windowMs() {
        return reads.windowMs++ === 0 ? 1_000 : -1
      },
    }
    expect(parseLimits(sly)).toEqual([{ count: 5, windowMs: 1_000 }])
    expect(reads).toEqual({ count: 1, windowMs: 1 })
  })

  it('refuses or copies a proxy that lies, grows or never ends', () => {
    const wild = new Proxy([], {
      get: (_target, key) => (key === 'length' ? 1e9 : '5/s'),
    })
    expect(() => readLimits(wild)).toThrow('limits must hold at most 16 limits')
    const odd = new Proxy({}, { get: () => 'x', ownKeys: () => ['count', 'windowMs'] })
    expect(() => readLimits(odd)).toThrow('limits.count must be an integer')
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect(() => readLimits(proxy)).toThrow(TypeError)
  })

  it('reads nothing from a polluted Object.prototype', () => {
    const polluted = Object.create({ count: 5, windowMs: 1_000 })
    expect(() => readLimits(polluted)).toThrow('limits.count must be an integer')
  })
})

describe('against generated texts', { timeout: 60_000 }, () => {
  it(`reads ${TEXTS} valid texts correctly (SEED=${SEED})`, () => {
    const random = randomFrom(SEED)
    for (let i = 0; i < TEXTS; i++) {
      const { text, limits } = validSample(random)
      const parsed = parseLimits(text)
      if (!sameLimits(parsed, limits)) expect(parsed, JSON.stringify(text)).toEqual(limits)
    }
  })

  it(`agrees with the slow reference on ${TEXTS} hostile texts (SEED=${SEED})`, () => {
    const random = randomFrom(SEED ^ 0x5eed)
    let accepted = 0
    for (let i = 0; i < TEXTS; i++) {
      const text = hostileText(random)
      const expected = referenceParse(text)
      const parsed = parsedOrRefused(text)
      // An assertion each would take most of the time.
      if (!sameLimits(parsed, expected)) expect(parsed, JSON.stringify(text)).toEqual(expected)
      if (expected) accepted++
    }
    console.log(`SEED=${SEED}: accepted ${accepted} of ${TEXTS} hostile texts`)
    // Neither side of the comparison may be empty.
    expect(accepted).toBeGreaterThan(TEXTS / 24)
    expect(accepted).toBeLessThan(TEXTS * (11 / 12))
  })

  function sameLimits(a: readonly Limit[] | undefined, b: readonly Limit[] | undefined): boolean {
    if (a === undefined || b === undefined) return a === b
    const same = (limit: Limit, i: number): boolean =>
      limit.count === b[i]?.count && limit.windowMs === b[i]?.windowMs
    return a.length === b.length && a.every(same)
  }

  function parsedOrRefused(text: string): readonly Limit[] | undefined {
    try {
      return parseLimits(text)
    } catch (error) {
      checkRefusal(error, text)
      return undefined
    }
  }

  function checkRefusal(error: unknown, text: string): void {
    if (!(error instanceof InvalidLimit)) throw error
    const safe = /^[\x20-\x7e]*$/.test(error.message) && error.text.length <= 64
    const isSize = /expected at most/.test(error.message)
    if (!safe || (!isSize && !canContinue(text.slice(0, error.position)))) {
      expect(error, JSON.stringify(text)).toBe('a position up to which the text was fine')
    }
  }

  const continuations = ['5/s', '/s', 'ms', '5ms', ' ms', '']

  /** Whether the text up to the reported position is the start of something valid. */
  function canContinue(start: string): boolean {
    return continuations.some((rest) => referenceParse(start + rest) !== undefined)
  }
})

describe('size', () => {
  it('reads 1024 characters and refuses longer texts without reading them', () => {
    expect(parseLimits(`5/s${' '.repeat(1021)}`)).toHaveLength(1)
    const error = refusal(`5/s${' '.repeat(1022)}`)
    expect(error.position).toBe(1024)
    expect(error.message).toContain('expected at most 1024 characters')
    expect(error.text).toBe(`5/s${' '.repeat(58)}...`)
  })

  it.each([
    ['1', 2 ** 20],
    [' ', 2 ** 20],
    ['x', 2 ** 20],
    ['\0', 2 ** 20],
    ['\u{1f600}', 2 ** 19],
    ['5/s;', 2 ** 18],
  ])('refuses a megabyte of %j in less than 5 ms', (piece, times) => {
    // The fastest of ten: the machine may stall, the parser may not. And through a buffer, because what
    // repeat() returns is only put together when it is first read, on the reader's clock.
    const elapsed = Array.from({ length: 10 }, (_, salt) => {
      const text = Buffer.from(piece.repeat(times) + salt).toString()
      const start = performance.now()
      const error = refusalOf(text)
      const ms = performance.now() - start
      expect(error).toBeInstanceOf(InvalidLimit)
      return ms
    })
    expect(Math.min(...elapsed)).toBeLessThan(5)
  })

  function refusalOf(text: string): unknown {
    try {
      return readLimits(text)
    } catch (error) {
      return error
    }
  }
})
