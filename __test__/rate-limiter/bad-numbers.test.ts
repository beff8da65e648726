import { type Clock, createLimiter, FakeClock, RateLimiter } from 'ratethrottle'
import { describe, expect, it } from 'vitest'

// Which of the two errors: a value of the wrong type is a TypeError, a number that is out of range a RangeError.

const trap = (): never => {
  throw new Error("the value's own code ran")
}
const NO_NUMBERS: readonly unknown[] = [
  null,
  true,
  false,
  '1',
  '',
  1n,
  {},
  [],
  [1],
  Symbol('s'),
  trap,
  new Date(0),
  new Number(1),
  { valueOf: trap, toString: trap, [Symbol.toPrimitive]: trap },
  new Proxy({}, { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap }),
]
const OUT_OF_RANGE = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  -(2 ** 31),
  0.1,
  1.5,
  2 ** 53,
  2 ** 63,
  1e21,
  Number.MAX_VALUE,
]

const clock = new FakeClock()
const limiter = new RateLimiter('10/minute', { clock })
const native = new RateLimiter('10/minute')

/** Every number a user passes, by the name the error has to call it. */
const NUMBERS: readonly (readonly [string, (value: never) => unknown])[] = [
  ['cost', (cost) => limiter.allow('k', cost)],
  ['cost', (cost) => native.allow('k', cost)],
  ['cost', (cost) => limiter.check('k', cost)],
  ['cost', (cost) => native.check('k', cost)],
  ['cost', (cost) => limiter.peek('k', cost)],
  ['cost', (cost) => limiter.consume('k', cost)],
  ['units', (units) => limiter.refund('k', units)],
  ['units', (units) => native.refund('k', units)],
  ['ms', (ms) => limiter.block('k', ms)],
  ['count', (count) => new RateLimiter({ count, windowMs: 1_000 })],
  ['windowMs', (windowMs) => new RateLimiter({ count: 1, windowMs })],
  ['burst', (burst) => new RateLimiter('1/s', { burst })],
  ['capacity', (capacity) => new RateLimiter('1/s', { capacity })],
  ['capacity', (capacity) => createLimiter({ limits: '1/s', capacity })],
]

describe.each(NUMBERS)('%s (%#)', (name, use) => {
  // In a loop, because the test runner itself trips over some of these when it names them.
  it('refuses a value that is not a number with a TypeError, and runs none of its code', () => {
    for (const value of NO_NUMBERS) {
      const call = () => use(value as never)
      expect(call).toThrow(TypeError)
      expect(call).toThrow(name)
    }
  })

  it('refuses the smallest fractions', () => {
    expect(() => use(5e-324 as never)).toThrow(name)
  })

  it('refuses a number out of range with a RangeError', () => {
    for (const value of OUT_OF_RANGE) {
      const call = () => use(value as never)
      expect(call, String(value)).toThrow(RangeError)
      expect(call).toThrow(name)
    }
  })
})

it('refused values have changed no state', () => {
  for (const asked of [limiter, native]) {
    expect(asked.peek('k')).toMatchObject({ allowed: true, remaining: 10, resetMs: 0 })
  }
})

it('options with a getter that throws make no limiter and reserve no name', () => {
  const options = {
    name: 'golden',
    get burst(): number {
      return trap()
    },
  }
  expect(() => new RateLimiter('1/s', options)).toThrow("the value's own code ran")
  expect(() => new RateLimiter('1/s', new Proxy({}, { ownKeys: trap }))).toThrow('own code')
  new RateLimiter('2/s', { name: 'golden' }).close()
})

it('each option is read once, so it cannot change between its check and its use', () => {
  let reads = 0
  const options = {
    get burst() {
      reads++
      return reads === 1 ? 5 : 1_000
    },
    clock,
  }
  expect(new RateLimiter('5/s', options).peek('k').remaining).toBe(5)
  expect(reads).toBe(1)
})

const POLLUTED = {
  count: 1_000,
  blockFor: 60_000,
  blockForMs: 60_000,
  capacity: 1,
  algorithm: 'fixed-window',
  clock: { now: () => 5 },
  shared: true,
  burst: 1_000,
  name: 'golden',
}

describe.each(Object.entries(POLLUTED))('a polluted Object.prototype.%s', (name, value) => {
  it('changes no option, no limit and no budget', async () => {
    Object.defineProperty(Object.prototype, name, { value, configurable: true, writable: true })
    try {
      const limiters = [1, 2].map((n) =>
        n === 1
          ? new RateLimiter({ count: 2, windowMs: 1_000 }, { clock })
          : createLimiter({ limits: '2/s', clock }),
      )
      for (const made of limiters) {
        const answers = await Promise.all([1, 2, 3].map(() => made.check('k')))
        expect(answers.map(({ allowed }) => allowed)).toEqual([true, true, false])
        expect((await made.peek('k')).retryAfterMs).toBe(500)
      }
    } finally {
      delete (Object.prototype as unknown as Record<string, unknown>)[name]
    }
  })
})

it('a clock that throws or closes the limiter causes no charge', () => {
  let wrong: (() => number) | undefined
  const moody: Clock = { now: () => wrong?.() ?? 1_000 }
  const asked = new RateLimiter('3/minute', { clock: moody, algorithm: 'fixed-window' })
  wrong = trap
  for (const call of [() => asked.allow('k'), () => asked.check('k'), () => asked.peek('k')]) {
    expect(call).toThrow("the value's own code ran")
  }
  wrong = undefined
  expect(asked.check('k').remaining).toBe(2)
  wrong = () => {
    asked.close()
    return 1_000
  }
  expect(() => asked.allow('k')).toThrow(expect.objectContaining({ code: 'CLOSED' }))
})

it('a clock may call the limiter that it belongs to', () => {
  let depth = 0
  const curious: Clock = {
    now: () => {
      if (depth++ === 0) inner = asked.check('inner', 2)
      depth--
      return 5
    },
  }
  let inner: unknown
  const asked = new RateLimiter('10/minute', { clock: curious, algorithm: 'fixed-window' })
  expect(asked.check('outer').remaining).toBe(9)
  expect(inner).toMatchObject({ remaining: 8 })
})
