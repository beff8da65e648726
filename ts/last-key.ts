import { setTimeout as setNodeTimeout } from 'node:timers'
import type { Clock } from './clock.ts'
import { SHORTEST_SLICE } from './key-hash.ts'

/** Charges a cost to a key and says whether it was admitted. */
export type Charge = (key: string, cost?: number) => boolean

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

/** No key yet. One for all calls of a limiter that make the native side remember a key: `allow` and `check`. */
export function noKey(): LastKey {
  return { text: NONE, isHeld: false }
}

/** The native side has forgotten the key. */
export function forgetKey(last: LastKey): void {
  last.text = NONE
}

/**
 * The native call, which does not read and hash a key that is the same as in the call before: a burst from one
 * caller is the usual load when limiting matters.
 */
export function skipRehash(native: NativeCharge, last: LastKey): Charge {
  return (key, cost) => {
    if (key === last.text && cost === undefined) return native() === undefined
    // A call that throws changes the last key on neither side.
    const denial = cost === undefined ? native(key) : native(key, cost)
    last.text = key
    if (!last.isHeld) holdBriefly(last, key)
    return denial === undefined
  }
}

/** The native call, at the time that an injected clock shows. */
export function withClock(native: NativeCharge, clock: Clock): Charge {
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
