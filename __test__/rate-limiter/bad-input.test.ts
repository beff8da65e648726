import { FakeClock, RateLimiter, type RateLimiterOptions } from 'ratethrottle'
import { afterAll, describe, expect, it } from 'vitest'

// Whatever is passed: the documented error, which names the argument, or the right answer.

const hostile = {
  get limits() {
    throw new Error('a getter ran')
  },
  toString() {
    throw new Error('toString ran')
  },
}
const proxy = new Proxy({}, {})
const MEGABYTE = 'x'.repeat(1_000_000)
const NOT_NUMBERS = [null, true, '1', '1e3', 1n, {}, [], [1], Symbol('s'), () => 1, hostile, proxy]
const BAD_NUMBERS = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0.1,
  1.5,
  -1,
  -0.5,
]
const TOO_LARGE = [2 ** 53, 2 ** 63, 1e21, Number.MAX_VALUE]
const OBJECT_NAMES = Object.getOwnPropertyNames(Object.prototype)
const before = JSON.stringify(OBJECT_NAMES)

let tried = 0

/** The call throws a TypeError or RangeError with the argument's name in its message. */
function refuses(call: () => unknown, name: string): void {
  tried++
  try {
    call()
  } catch (error) {
    expect(error instanceof TypeError || error instanceof RangeError, String(error)).toBe(true)
    expect((error as Error).message).toContain(name)
    expect((error as Error).message.length).toBeLessThan(600)
    return
  }
  expect.fail(`accepted; should have named ${name}`)
}

const make = (limits: unknown, options?: unknown): RateLimiter =>
  new RateLimiter(limits as string, options as RateLimiterOptions)

afterAll(() => {
  expect(tried).toBeGreaterThanOrEqual(200)
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  expect(JSON.stringify(Object.getOwnPropertyNames(Object.prototype))).toBe(before)
})

describe('limits', () => {
  const texts = [
    '',
    ' ',
    '100',
    '/',
    '/minute',
    '100/',
    '100//minute',
    'abc/minute',
    '1.5/s',
    '1e3/s',
    '0/s',
    '-1/s',
    '+5/s',
    '1_000/hour',
    '1,000/hour',
    '０/s',
    '٣/s',
    '10/fortnight',
    '10/2',
    '10/0s',
    '10/-5s',
    '10/1.5s',
    '100perminute',
    '10/s;',
    ';10/s',
    '10/s;;5/s',
    '10/s and 5/s',
    '10/s\n',
    '10\0/s',
    'NaN/s',
    'Infinity/s',
    '9007199254740993/s',
    '1000000001/s',
    '1/11 years',
    '1/99999999999999999999 days',
    '\ud800',
    '\u212A/s',
    '\u00a05/s',
    '__proto__',
    'constructor/minute',
    '5/__proto__',
    '5/toString',
    '5/minuet',
    MEGABYTE,
    `${'9'.repeat(50_000)}x`,
  ]
  it.each(texts.map((text) => [text.slice(0, 24), text]))('the text %j is refused', (_, text) => {
    refuses(() => make(text), 'limit')
  })

  it('values that are not limits are refused', () => {
    for (const value of [undefined, 5, ...NOT_NUMBERS.filter((v) => v !== '1' && v !== '1e3')]) {
      refuses(() => make(value), 'limits')
    }
    refuses(() => make(Array(17).fill('1/s')), 'limits')
    refuses(() => make(['1/s', ['1/s']]), 'limits[1]')
    refuses(() => make(['1/s', 'nonsense']), 'limits[1]')
  })

  it('objects with an invalid count or window are refused', () => {
    for (const bad of [...NOT_NUMBERS, ...BAD_NUMBERS, ...TOO_LARGE, 0, -0, 1_000_000_001]) {
      refuses(() => make({ count: bad, windowMs: 1_000 }), 'count')
    }
    for (const bad of [...NOT_NUMBERS, ...BAD_NUMBERS, ...TOO_LARGE, 0, 315_360_000_001]) {
      refuses(() => make({ count: 1, windowMs: bad }), 'windowMs')
    }
    refuses(() => make({ count: 1 }), 'windowMs')
    refuses(() => make({ count: 1, windowMs: 1, most: 3 }), 'most')
    refuses(() => make(Object.create({ count: 1, windowMs: 1 })), 'count')
  })

  it('limits beyond what a state word counts exactly are refused', () => {
    refuses(() => make('1048576/minute', { algorithm: 'sliding-window' }), 'sliding-window')
    refuses(() => make('100000000/year', { algorithm: 'fixed-window' }), 'fixed-window')
    refuses(() => make('100000/day', { algorithm: 'sliding-log' }), 'sliding-log')
    refuses(() => make('999999937/year'), 'token-bucket')
  })

  it('a text of a megabyte is refused in under 5 ms', () => {
    make('1/s').close()
    // The fastest of many: the machine may stall, the parser may not.
    const elapsed = Array.from({ length: 20 }, () => {
      const start = performance.now()
      refuses(() => make(MEGABYTE), 'limit')
      return performance.now() - start
    })
    expect(Math.min(...elapsed)).toBeLessThan(5)
  })
})

describe('options', () => {
  const open = (options: unknown) => () => make('10/minute', options)

  it('numbers out of range are refused', () => {
    for (const bad of [...NOT_NUMBERS, ...BAD_NUMBERS, ...TOO_LARGE, 0])
      refuses(open({ burst: bad }), 'burst')
    for (const bad of [...NOT_NUMBERS, ...BAD_NUMBERS, ...TOO_LARGE, 0, 134_217_729]) {
      refuses(open({ capacity: bad }), 'capacity')
    }
    refuses(open({ burst: 20, algorithm: 'fixed-window' }), 'burst')
    for (const bad of [
      ...BAD_NUMBERS,
      ...TOO_LARGE,
      '',
      '5 fortnights',
      '-1s',
      '11 years',
      null,
      {},
    ]) {
      refuses(open({ blockFor: bad }), 'blockFor')
    }
  })

  it('invalid names, algorithms, clocks and storages are refused', () => {
    for (const bad of ['', 'x'.repeat(129), '\ud800', null, 5, {}, Symbol('s')])
      refuses(open({ name: bad }), 'name')
    for (const bad of ['', 'magic', 'TOKEN', '__proto__', 'constructor', null, 5, {}]) {
      refuses(open({ algorithm: bad }), 'algorithm')
    }
    for (const bad of [null, 5, {}, () => 1, { now: 5 }, 'now'])
      refuses(open({ clock: bad }), 'clock')
    for (const bad of [1, 'yes', null]) refuses(open({ shared: bad }), 'shared')
    expect(open({ shared: true })).toThrow('name')
  })

  it('unknown options, and values that are not options, are refused', () => {
    for (const name of ['max', 'Burst', 'blockfor', 'windowMs', '', ...OBJECT_NAMES]) {
      refuses(open(Object.defineProperty({}, name, { value: 1, enumerable: true })), 'option')
    }
    for (const bad of [null, 5, 'x', [], Symbol('s')]) refuses(open(bad), 'options')
    refuses(open({ [Symbol('burst')]: 1 }), 'option')
  })

  it('inherited options have no effect', () => {
    tried++
    const limiter = open(Object.create({ burst: 99, blockFor: 5 }))()
    expect(limiter.peek('k').remaining).toBe(10)
  })
})

describe('arguments of calls', () => {
  const clock = new FakeClock()
  const limiter = new RateLimiter('10/minute', { clock })
  const native = new RateLimiter('10/minute')

  it('invalid costs, units and times are refused without a charge', () => {
    const calls = ['allow', 'check', 'peek', 'consume', 'refund'] as const
    for (const tested of [limiter, native]) {
      for (const call of calls) {
        const name = call === 'refund' ? 'units' : 'cost'
        for (const bad of [...NOT_NUMBERS, ...BAD_NUMBERS, ...TOO_LARGE]) {
          refuses(() => tested[call]('k', bad as number), name)
        }
      }
      for (const bad of [
        undefined,
        ...NOT_NUMBERS,
        ...BAD_NUMBERS,
        ...TOO_LARGE,
        0,
        315_360_000_001,
      ]) {
        refuses(() => tested.block('k', bad as number), 'ms')
      }
      expect(tested.peek('k')).toMatchObject({ remaining: 10, resetMs: 0, allowed: true })
    }
  })

  it('keys that are not strings, or longer than 1,048,576, are refused', () => {
    const bad = [
      undefined,
      null,
      5,
      Number.NaN,
      true,
      1n,
      {},
      [],
      Symbol('s'),
      () => 1,
      proxy,
      hostile,
    ]
    for (const tested of [limiter, native]) {
      for (const key of bad) {
        refuses(() => tested.allow(key as string), 'key')
        refuses(() => tested.check(key as string), 'key')
        refuses(() => tested.reset(key as string), 'key')
        expect(() => tested.peek(key as string)).toThrow(TypeError)
      }
      expect(() => tested.peek('x'.repeat(1_048_577))).toThrow(RangeError)
      refuses(() => tested.allow('x'.repeat(1_048_577)), 'key')
      expect(tested.allow('x'.repeat(1_048_576))).toBe(true)
    }
  })

  it('a refused key does not charge the key of the call before', () => {
    expect(native.check('last').remaining).toBe(9)
    for (const bad of [undefined, 5]) refuses(() => native.allow(bad as unknown as string), 'key')
    refuses(() => native.allow('other', Number.NaN), 'cost')
    expect(native.check('last').remaining).toBe(8)
    expect(native.check('last').remaining).toBe(7)
    expect(native.peek('other').remaining).toBe(10)
  })

  it('a clock that returns no valid time is refused', () => {
    for (const bad of [Number.NaN, -1, Number.POSITIVE_INFINITY, '5', undefined, null, 1e13]) {
      const wrong = new RateLimiter('1/s', { clock: { now: () => bad as number } })
      refuses(() => wrong.allow('k'), 'clock.now()')
    }
  })

  it('a cost of 0 is admitted, and a cost above the limit denied without a wait', () => {
    const { remaining } = limiter.check('edge', 0)
    expect(remaining).toBe(10)
    expect(limiter.check('edge', -0).remaining).toBe(10)
    expect(limiter.check('edge', 10)).toMatchObject({ allowed: true, remaining: 0 })
    for (const cost of [11, 2 ** 31, 2 ** 32, 2 ** 53 - 1]) {
      expect(limiter.check('fresh', cost)).toMatchObject({
        allowed: false,
        remaining: 10,
        retryAfterMs: Number.POSITIVE_INFINITY,
      })
    }
    expect(limiter.peek('fresh').resetMs).toBe(0)
  })
})
