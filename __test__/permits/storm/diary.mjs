/*
 * What a caller of a storm writes down: when it had a permit, and when it was about to give it back. Times are those of
 * CLOCK_MONOTONIC, which all processes of a machine share. What is written outlives a process that is killed.
 */
import { openSync, writeSync } from 'node:fs'

/** Numbers of an event: what happened, an earlier time or a count, and when. */
const WIDTH = 3
const ROOM = 4_096
/** What happened. */
export const [TAKEN, RELEASED, LOST, REFUSED, WAITED] = [0, 1, 2, 3, 4]
/** Keys and callers that the first number has room for. */
const [KINDS, KEYS] = [8, 1_024]

/** In nanoseconds. */
export function now() {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e9 + nanoseconds
}

/** The diary of one thread. No step waits for it: it is written at the end of a turn of the event loop. */
export class Diary {
  #file
  #events = new Float64Array(WIDTH * ROOM)
  #bytes = new Uint8Array(this.#events.buffer)
  #size = 0
  #refused = 0
  #waited = 0
  #write = () => this.#flush()

  constructor(path) {
    this.#file = openSync(path, 'a')
  }

  /** The caller has a permit of the key, for which it asked at `since`, and is told so at `at`. */
  taken(caller, key, since, at) {
    this.#note(TAKEN, caller, key, since, at)
  }

  /** The caller is about to give its permit back: at `at` it still had it, or was told later that it was lost. */
  released(caller, key, isLost, at) {
    this.#note(isLost ? LOST : RELEASED, caller, key, 0, at)
  }

  refused() {
    this.#refused++
  }

  waited() {
    this.#waited++
  }

  #note(kind, caller, key, since, at) {
    if (this.#size === 0) setImmediate(this.#write)
    const at0 = this.#size
    this.#events[at0] = (caller * KEYS + key) * KINDS + kind
    this.#events[at0 + 1] = since
    this.#events[at0 + 2] = at
    this.#size += WIDTH
    // Counts come behind the events.
    if (this.#size > this.#events.length - 3 * WIDTH) this.#flush()
  }

  #flush() {
    if (this.#size === 0) return
    this.#count(REFUSED, this.#refused)
    this.#count(WAITED, this.#waited)
    this.#refused = 0
    this.#waited = 0
    writeSync(this.#file, this.#bytes, 0, this.#size * 8)
    this.#size = 0
  }

  #count(kind, count) {
    if (count === 0) return
    this.#events.set([kind, count, 0], this.#size)
    this.#size += WIDTH
  }
}
