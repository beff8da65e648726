/*
 * Sums and products that never overflow: what would be larger is this, so that it compares as the largest there is.
 */

/** The largest cost and the largest depth. Nothing costs more. */
export const MOST: number = Number.MAX_SAFE_INTEGER

/** At most {@link MOST}, at least 0. What is no number is the largest: a fault never makes anything cheaper. */
export function bounded(value: number): number {
  if (value >= MOST || Number.isNaN(value)) return MOST
  return value > 0 ? value : 0
}

export function plus(one: number, other: number): number {
  return bounded(one + other)
}

export function times(one: number, other: number): number {
  // Also 0 times the largest is a number, as none is infinite.
  return bounded(one * other)
}

/** Weights may be fractions. A sum of them may miss a whole number by what binary fractions can not say. */
export function wholeUnits(cost: number): number {
  return bounded(Math.ceil(bounded(cost) - 1e-6))
}

/** The work of costing one document, which has an end. */
export class Work {
  #left: number

  constructor(steps: number) {
    this.#left = steps
  }

  /** How many steps were taken, for tests. */
  get left(): number {
    return this.#left
  }

  /** @throws TooMuchWork */
  step(steps = 1): void {
    this.#left -= steps
    if (this.#left < 0) throw new TooMuchWork()
  }
}

/** A document that takes more work to cost than any is worth. It counts as the largest there is. */
export class TooMuchWork extends Error {}
