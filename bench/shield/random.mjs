/**
 * Seeded random numbers (mulberry32 over a mixed seed). Each part of a run draws from a source of its own, so that
 * one more bot does not change what the people do.
 */
export class Random {
  #state

  constructor(seed, part = '') {
    let mixed = (seed ^ 0x9e3779b9) >>> 0
    for (const letter of String(part)) mixed = Math.imul(mixed ^ letter.codePointAt(0), 0x85ebca6b)
    this.#state = (mixed ^ (mixed >>> 13)) >>> 0
  }

  /** From 0 up to, but not including, 1. */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from `least` to `most`, both included. */
  whole(least, most) {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  between(least, most) {
    return least + this.next() * (most - least)
  }

  chance(probability) {
    return this.next() < probability
  }

  pick(list) {
    return list[Math.floor(this.next() * list.length)]
  }

  /** Exponential with this mean: gaps between events that know nothing of each other. */
  gap(mean) {
    return -mean * Math.log(1 - this.next())
  }

  /** Geometric from 1 on with this mean. */
  tries(mean) {
    if (mean <= 1) return 1
    return 1 + Math.floor(Math.log(1 - this.next()) / Math.log(1 - 1 / mean))
  }
}
