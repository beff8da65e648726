import { setTimeout as setNodeTimeout } from 'node:timers'

/** The key whose hash the native side still has. */
export interface LastKey {
  text: string | typeof NONE
  /** Whether it is among those that are let go of in a moment. */
  isHeld: boolean
}

const NONE: unique symbol = Symbol('no key')

/** V8 copies a part of a text that is shorter than this; a longer one keeps the whole text alive. */
const SHORTEST_SLICE = 13
/** Limiters that may hold on to such a key at once, and for how many milliseconds. */
const MOST = 16
const HELD_MS = 1_000

const held: LastKey[] = []
let next = 0
let timer: NodeJS.Timeout | undefined
/** As it is now: a test that takes over the timers later must not stop this one. */
const later: typeof setNodeTimeout = setNodeTimeout

/** No key yet. */
export function noKey(): LastKey {
  return { text: NONE, isHeld: false }
}

/** No key any more: the native side has forgotten it. */
export function forget(last: LastKey): void {
  last.text = NONE
}

/**
 * Sees to it that the key is let go of soon. It is the caller's own text, and so may be a part of a large one,
 * such as the body of a request. A copy would be dearer than the call that it spares.
 */
export function holdBriefly(last: LastKey, key: string): void {
  if (key.length < SHORTEST_SLICE) return
  const before = held[next]
  if (before !== undefined) letGo(before)
  last.isHeld = true
  held[next] = last
  next = (next + 1) % MOST
  if (timer === undefined) timer = later(letAllGo, HELD_MS).unref()
}

function letGo(last: LastKey): void {
  last.text = NONE
  last.isHeld = false
}

function letAllGo(): void {
  timer = undefined
  for (const last of held) letGo(last)
  held.length = 0
  next = 0
}
