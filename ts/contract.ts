import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock } from './clock.ts'
import type { LimitInput } from './limit/limit.ts'
import type { AsyncLimiter, MaybePromise } from './limiter.ts'
import { ALGORITHMS, type Algorithm, type RateLimiterOptions } from './options.ts'
import { RateLimiter } from './rate-limiter.ts'

/** What the suite calls: a `RateLimiter`, an `AsyncLimiter`, or an object of yours. */
export type ContractLimiter = Pick<
  RateLimiter | AsyncLimiter,
  'check' | 'peek' | 'refund' | 'block' | 'reset' | 'close'
>

/**
 * Makes a limiter for the suite, with the options `name`, `algorithm`, `blockFor` and `clock`. Limiters of one name
 * share their counters.
 */
export type MakeLimiter = (
  limits: LimitInput,
  options: RateLimiterOptions,
) => MaybePromise<ContractLimiter>

/** One test of the suite. `run` rejects with an `AssertionError` that says what is wrong. */
export interface ContractTest {
  readonly title: string
  readonly run: () => Promise<void>
}

/** A wall clock of 2026, at the start of a window of any length used below. */
const START_MS = 1_796_083_200_000
const LONGEST_KEY = 1_048_576
/** Keys that a store, a protocol or an object may mistake for something else, or for each other. */
const KEYS = [
  ...['', ' ', 'a b', 'a:b', 'a', 'A', 'a\0', '\r\nflush_all\r\n', '{a}', '%', '%-', "' OR 1=1"],
  ...['__proto__', 'constructor', 'ä', 'a\u0308', '\ud800', '\udfff', '\ufffd', '😀'],
  ...['x'.repeat(250), 'x'.repeat(251), 'x'.repeat(LONGEST_KEY)],
]
const WALK_STEPS = 300

let made = 0

/**
 * The tests that every limiter has to pass, whatever keeps its counters: for a store of yours, or a limiter of
 * yours. They use `node:assert`, and no test runner.
 *
 * ```ts
 * const make: MakeLimiter = (limits, options) => createLimiter({ limits, storage: store, ...options })
 * for (const { title, run } of limiterContract(make)) test(title, run)
 * ```
 *
 * Time is that of a `FakeClock` in option `clock`. For a limiter that takes no clock set `realTime`: then the tests
 * wait for short windows, and those that compare times to the millisecond are left out.
 */
export function limiterContract(
  make: MakeLimiter,
  { realTime = false }: { readonly realTime?: boolean } = {},
): ContractTest[] {
  const tests = Object.entries(realTime ? TESTS : { ...TESTS, ...EXACT_TESTS })
  return ALGORITHMS.flatMap((algorithm) =>
    tests.map(([title, test]) => ({
      title: `${algorithm}: ${title}`,
      run: async () => {
        const bench = new Bench(make, algorithm, realTime ? undefined : new FakeClock(START_MS))
        await test(bench).finally(() => bench.close())
      },
    })),
  )
}

/** One test's limiters and clock. */
class Bench {
  readonly #name = `contract ${process.pid} ${Date.now()} ${made++}`
  readonly #open: ContractLimiter[] = []

  constructor(
    readonly make: MakeLimiter,
    readonly algorithm: Algorithm,
    readonly clock: FakeClock | undefined,
  ) {}

  async limiter(limits: LimitInput, blockFor = 0): Promise<ContractLimiter> {
    const { algorithm, clock } = this
    const options = { name: `${this.#name} ${blockFor}`, algorithm, blockFor }
    const limiter = await this.make(limits, clock === undefined ? options : { ...options, clock })
    this.#open.push(limiter)
    return limiter
  }

  async pass(ms: number): Promise<void> {
    if (this.clock === undefined) await sleep(ms + 2)
    else this.clock.advance(ms)
  }

  async close(): Promise<void> {
    for (const limiter of this.#open) await limiter.close()
  }
}

/** How many of `calls` calls at once are admitted. */
async function admitted(calls: number, ...limiters: readonly ContractLimiter[]): Promise<number> {
  const asked = Array.from({ length: calls }, () => limiters.map((limiter) => limiter.check('k')))
  return (await Promise.all(asked.flat())).filter(({ allowed }) => allowed).length
}

async function expectAllowed(
  expected: readonly boolean[],
  limiter: ContractLimiter,
  key = 'k',
): Promise<void> {
  const allowed: boolean[] = []
  for (const _ of expected) allowed.push((await limiter.check(key)).allowed)
  const shown = key.length > 60 ? `a key of ${key.length} characters` : JSON.stringify(key)
  assert.deepEqual(allowed, expected, shown)
}

const TESTS: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  'exactly the limit is admitted of calls one by one': async (bench) => {
    const limiter = await bench.limiter('3/minute')
    for (const remaining of [2, 1, 0]) assert.equal((await limiter.check('k')).remaining, remaining)
    const { allowed, remaining, limit, policy } = await limiter.check('k')
    assert.deepEqual([allowed, remaining, limit, policy], [false, 0, 3, 0])
  },
  'exactly the limit is admitted of calls at once, of limiters that share their counters': async (
    bench,
  ) => {
    const limiters = [await bench.limiter('20/minute'), await bench.limiter('20/minute')]
    assert.equal(await admitted(30, ...limiters), 20)
  },
  'several limits are charged, or none': async (bench) => {
    const limiter = await bench.limiter(['2/hour', '4/day'])
    assert.equal(await admitted(9, limiter), 2)
    await limiter.refund('k', 2)
    assert.equal(await admitted(9, limiter), 2)
    assert.equal((await limiter.check('k')).policy, 0)
  },
  'a cost is charged as a whole or not at all': async (bench) => {
    const limiter = await bench.limiter('5/minute')
    const { allowed, retryAfterMs, retryAfter } = await limiter.check('k', 6)
    assert.deepEqual(
      [allowed, retryAfterMs, retryAfter],
      [false, Number.POSITIVE_INFINITY, undefined],
    )
    assert.equal((await limiter.check('k', 3)).remaining, 2)
    assert.equal((await limiter.check('k', 3)).allowed, false)
    assert.equal((await limiter.check('k', 2)).remaining, 0)
  },
  'a peek and a cost of 0 change nothing': async (bench) => {
    const limiter = await bench.limiter('2/minute')
    for (let call = 0; call < 5; call++) {
      assert.equal((await limiter.peek('k')).allowed, true)
      assert.equal((await limiter.check('k', 0)).allowed, true)
      assert.equal((await limiter.peek('k', 3)).allowed, false)
    }
    await expectAllowed([true, true, false], limiter)
  },
  'a refund gives back what was charged, and no more': async (bench) => {
    const limiter = await bench.limiter('3/minute')
    await limiter.check('k', 3)
    await limiter.refund('k', 2)
    await expectAllowed([true, true, false], limiter)
    await limiter.refund('k', 100)
    await expectAllowed([true, true, true, false], limiter)
  },
  'a reset forgets the key, and no other': async (bench) => {
    const limiter = await bench.limiter('1/minute')
    for (const key of ['k', 'other']) await limiter.check(key)
    await limiter.reset('k')
    await expectAllowed([true, false], limiter)
    await expectAllowed([false], limiter, 'other')
  },
  'a block denies until it ends, or a reset': async (bench) => {
    const limiter = await bench.limiter('5/minute')
    await limiter.block('k', 400)
    const { remaining, retryAfterMs } = await limiter.check('k')
    assert.deepEqual([remaining, retryAfterMs > 0, retryAfterMs <= 400], [0, true, true])
    await bench.pass(400)
    await expectAllowed([true], limiter)
    await limiter.block('k', 60_000)
    await expectAllowed([false], limiter)
    await limiter.reset('k')
    await expectAllowed([true], limiter)
  },
  'with blockFor a denial blocks the key': async (bench) => {
    const limiter = await bench.limiter('1/100ms', 60_000)
    await expectAllowed([true, false], limiter)
    await bench.pass(200)
    await expectAllowed([false], limiter)
    await limiter.reset('k')
    await expectAllowed([true], limiter)
  },
  'a key that has waited retryAfterMs is admitted': async (bench) => {
    const limiter = await bench.limiter('2/200ms')
    await limiter.check('k', 2)
    await bench.pass((await limiter.check('k')).retryAfterMs)
    await expectAllowed([true], limiter)
  },
  'no two keys are taken for one, whatever is in them': async (bench) => {
    const limiter = await bench.limiter('1/hour')
    for (const key of KEYS) await expectAllowed([true], limiter, key)
    for (const key of KEYS) await expectAllowed([false], limiter, key)
  },
  'wrong arguments are refused, and charge nothing': async (bench) => {
    const limiter = await bench.limiter('1/minute')
    const calls: readonly (() => unknown)[] = [
      () => limiter.check(7 as never),
      () => limiter.check('x'.repeat(LONGEST_KEY + 1)),
      () => limiter.refund('k', -1),
      ...[-1, 0.5, Number.NaN, 2 ** 53].map((cost) => () => limiter.check('k', cost)),
      ...[0, -1, Number.POSITIVE_INFINITY].map((ms) => () => limiter.block('k', ms)),
    ]
    for (const call of calls) await assert.rejects(async () => call(), { code: 'INVALID_ARGUMENT' })
    await expectAllowed([true, false], limiter)
  },
}

/** Tests that compare times to the millisecond. */
const EXACT_TESTS: typeof TESTS = {
  'retryAfterMs is exact: admitted then, and not a millisecond before': async (bench) => {
    const limiter = await bench.limiter(['3/7s', '10/minute'])
    for (let calls = 0; calls < 40; calls++) {
      const { allowed, retryAfterMs } = await limiter.check('k')
      if (allowed) continue
      await bench.pass(retryAfterMs - 1)
      assert.equal((await limiter.check('k')).allowed, false)
      await bench.pass(1)
      assert.equal((await limiter.peek('k')).allowed, true)
    }
  },
  'every field of every decision is that of a RateLimiter in memory': async (bench) => {
    // Stores forget what has run out by their own clock: these last longer than a busy machine stands still.
    const limits = ['3/minute', { count: 11, windowMs: 600_000 }]
    const { algorithm, clock } = bench
    for (const blockFor of [0, 42_000]) {
      const limiter = await bench.limiter(limits, blockFor)
      const memory = new RateLimiter(limits, { algorithm, blockFor, clock, capacity: 100 })
      await walk(limiter, memory, bench).finally(() => memory.close())
    }
  },
}

/** Asks both limiters the same, and compares their answers. */
async function walk(one: ContractLimiter, other: ContractLimiter, bench: Bench): Promise<void> {
  let seed = 20_261_130
  const below = (n: number): number => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed % n
  }
  for (let step = 0; step < WALK_STEPS; step++) {
    await bench.pass([0, 0, 1, 20_000, 60_000, below(240_000)][below(6)] ?? 0)
    const [act, key, units] = [below(20), below(3) === 0 ? 'l' : 'k', below(4)]
    const ask = async (limiter: ContractLimiter): Promise<unknown> => {
      if (act === 17) return limiter.refund(key, units)
      if (act === 18) return limiter.block(key, 1 + 15_000 * units)
      if (act === 19) return limiter.reset(key)
      return { ...(await (act > 12 ? limiter.peek(key, units) : limiter.check(key, units))) }
    }
    assert.deepEqual(await ask(one), await ask(other), `step ${step}, act ${act} of ${units}`)
  }
}
