import { setTimeout as setNodeTimeout } from 'node:timers'
import type { Clock } from './clock.ts'
import { keepCounter, type LimitCounter } from './counting.ts'
import { type Decision, readDecision } from './decision.ts'
import { RateLimitExceeded } from './errors.ts'
import { SHORTEST_SLICE } from './key-hash.ts'
import { type CheckedLimits, columnsOf, type Limit, type LimitInput } from './limit/limit.ts'
import { readLimits } from './limit/parse.ts'
import { type LimiterStats, openCounted, openCounter, placeOf, readStats } from './limiter-stats.ts'
import { type Native, open, openWatched } from './native/binding.ts'
import { NativeLimiter } from './native-limiter.ts'
import { type Algorithm, type RateLimiterOptions, resolveOptions, withBurst } from './options.ts'
import { LimiterQueues } from './wait.ts'

/** Charges a cost to a key and says whether it was admitted. */
export type Charge = (key: string, cost?: number) => boolean

/** Most bytes of a log whose capacity is not given. */
const DEFAULT_LOG_BYTES = 256 * 1024 * 1024
const DEFAULT_CAPACITY = 100_000

/**
 * Limits how often a key may do something. Native, synchronous, exact under threads.
 *
 * ```ts
 * const limiter = new RateLimiter('100/minute')
 * if (!limiter.allow('user:42')) refuse()
 * ```
 *
 * Keys are strings of at most 1,048,576 characters, compared unit by unit; they are hashed with a secret
 * and never stored. A cost is a whole number from 0 to 2^53 - 1: 0 only asks, and one above the limit is
 * denied for ever (`retryAfterMs: Infinity`) and touches nothing. Anything else throws a TypeError or
 * RangeError that names the argument. A denial changes nothing.
 */
export class RateLimiter<const L extends LimitInput = LimitInput> extends NativeLimiter {
  /** How requests are counted. */
  readonly algorithm: Algorithm
  /** Where the state lives, as option `storage` of adapters and of `createLimiter` takes it. */
  readonly storage: 'memory:' | `shared:${string}`
  /**
   * The hot path: charges `cost` (default 1) and says whether it was admitted. Allocates nothing, and
   * needs no `this`.
   */
  readonly allow: Charge
  readonly #native: Native
  readonly #check: Charge
  readonly #queues: LimiterQueues
  readonly #close: () => void
  readonly #clock: Clock | undefined
  readonly #counter: LimitCounter | undefined

  /**
   * @param limits one or several limits, such as `'100/minute'` or `['10/second', '1000/hour']`
   * @param options see {@link RateLimiterOptions}
   * @throws InvalidLimit, TypeError or RangeError naming the argument, the value and what is accepted; with
   * `shared` an Error with one of the codes of docs/reference/errors.md
   */
  constructor(limits: CheckedLimits<L>, options: RateLimiterOptions = {}) {
    const parsed = readLimits(limits)
    const resolved = resolveOptions(options)
    const { algorithm, blockForMs, name, shared, clock } = resolved
    const all = withBurst(parsed, resolved)
    const capacity = resolved.capacity ?? defaultCapacity(all, algorithm)
    // One for `allow` and `check`: both make the native side remember a key.
    const last: LastKey = { text: NONE, isHeld: false }
    const counter = openCounter(resolved, all)
    const settings = { ...columnsOf(all), algorithm, blockForMs, capacity, ...placeOf(counter) }
    const forget = (): void => {
      last.text = NONE
    }
    const { native, close } = openCounted(counter, () =>
      openWatched(open, settings, resolved, ({ allow }) => allow, forget),
    )
    const queues = new LimiterQueues(algorithm, { ...resolved, counter })
    super(all, { native: () => native, clock, queues })
    this.algorithm = algorithm
    this.storage = shared ? `shared:${name}` : 'memory:'
    this.#native = native
    this.#queues = queues
    this.#close = close
    this.#clock = clock
    this.#counter = counter
    keepCounter(this, counter)
    counter?.serves(this)
    const { allow, check } = native
    const rehash = counter === undefined ? skipRehash : skipMostRehashes
    this.allow = clock === undefined ? rehash(allow, last) : withClock(allow, clock)
    this.#check = clock === undefined ? rehash(check, last) : withClock(check, clock)
  }

  /** Charges `cost` (default 1) and says in full what that left, or why not. */
  override check(key: string, cost?: number): Decision {
    return readDecision(this.#check(key, cost), this.#native)
  }

  /**
   * Charges `cost`.
   *
   * @throws RateLimitExceeded if it is denied
   */
  consume(key: string, cost?: number): Decision {
    const decision = this.check(key, cost)
    if (!decision.allowed) throw new RateLimitExceeded(decision)
    return decision
  }

  /**
   * Counts since the limiter was made, of all threads and processes that share it together; `admitted` and `denied` of
   * this object alone.
   */
  stats(): LimiterStats {
    return readStats(this.#native)
  }

  /** About how many keys owe something, are denied or blocked now. Takes a tenth of a millisecond. */
  liveKeys(): number {
    const now: [] | [number] = this.#clock === undefined ? [] : [this.#clock.now()]
    this.#native.live('', 0, ...now)
    return this.#native.wide[0] ?? 0
  }

  /**
   * Releases the state; its memory is free at once unless another limiter of the same name uses it.
   * Waiting callers are rejected. Every later call but `close` throws an Error with code CLOSED.
   */
  override close(): void {
    this.#close()
    this.#queues.close()
    this.#counter?.close()
  }
}

/** Two slots a key, each of 16 bytes, and in a log 8 more for each unit of the count. */
function defaultCapacity(limits: readonly Limit[], algorithm: Algorithm): number {
  if (algorithm !== 'sliding-log') return DEFAULT_CAPACITY
  const bytesPerKey = 2 * limits.reduce((sum, limit) => sum + 16 + 8 * limit.count, 0)
  return Math.max(1, Math.min(DEFAULT_CAPACITY, Math.floor(DEFAULT_LOG_BYTES / bytesPerKey)))
}

/** A native call: `false` is a denial. Without a key it is about the key of the call before. */
type NativeCharge = (key?: string, cost?: number, now?: number) => false | undefined

/** The key whose hash the native side still has. */
interface LastKey {
  text: string | typeof NONE
  /** Whether the key is released soon. */
  isHeld: boolean
}

const NONE: unique symbol = Symbol('no key')

/** Limiters that may hold a key at once that has to be released, and for how many milliseconds. */
const MAX_HELD = 16
const HELD_MS = 1_000

const held: LastKey[] = []
let next = 0
let timer: NodeJS.Timeout | undefined
/** Bound now: a test that replaces the timers later must not stop this one. */
const setTimer: typeof setNodeTimeout = setNodeTimeout

/**
 * The native call, which does not read and hash a key that is the same as in the call before: a burst from one
 * caller is the usual load when limiting matters.
 */
function skipRehash(native: NativeCharge, last: LastKey): Charge {
  return (key, cost) => {
    if (key === last.text && cost === undefined) return native() === undefined
    // A call that throws changes the last key on neither side.
    const denial = cost === undefined ? native(key) : native(key, cost)
    last.text = key
    if (!last.isHeld) holdBriefly(last, key)
    return denial === undefined
  }
}

/** Every sixteenth call about a key passes it all the same where an insight counts keys: it may have no name there yet. */
const NAMED_EVERY = 16

/** As {@link skipRehash}, for an insight. Apart: other limiters need no count of their calls. */
function skipMostRehashes(native: NativeCharge, last: LastKey): Charge {
  const charge = skipRehash(native, last)
  let left = NAMED_EVERY
  return (key, cost) => {
    left -= 1
    if (left === 0) {
      left = NAMED_EVERY
      last.text = NONE
    }
    return charge(key, cost)
  }
}

/** The native call, at the time that an injected clock shows. */
function withClock(native: NativeCharge, clock: Clock): Charge {
  return (key, cost) => native(key, cost, clock.now()) === undefined
}

/**
 * Releases the key soon. It is the caller's own text, and so may be a slice of a large one, such as the body of a
 * request, which it keeps alive. A copy would cost more than the hash that is saved.
 */
function holdBriefly(last: LastKey, key: string): void {
  if (key.length < SHORTEST_SLICE) return
  const before = held[next]
  if (before !== undefined) release(before)
  last.isHeld = true
  held[next] = last
  next = (next + 1) % MAX_HELD
  if (timer === undefined) timer = setTimer(releaseAll, HELD_MS).unref()
}

function release(last: LastKey): void {
  last.text = NONE
  last.isHeld = false
}

function releaseAll(): void {
  timer = undefined
  for (const last of held) release(last)
  held.length = 0
  next = 0
}
