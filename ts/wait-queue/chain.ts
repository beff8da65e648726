/** A member of a {@link Chain}, linked to both neighbours: any of ten thousand may leave at any time. */
export interface Link<Self> {
  isWaiting: boolean
  before: Self | undefined
  after: Self | undefined
}

/** Callers in the order in which they came. */
export class Chain<Waiter extends Link<Waiter>> {
  head: Waiter | undefined = undefined
  size = 0
  #tail: Waiter | undefined = undefined

  push(waiter: Waiter): void {
    waiter.before = this.#tail
    if (this.#tail === undefined) this.head = waiter
    else this.#tail.after = waiter
    this.#tail = waiter
    this.size++
  }

  drop(waiter: Waiter): void {
    const { before, after } = waiter
    waiter.isWaiting = false
    if (before === undefined) this.head = after
    else before.after = after
    if (after === undefined) this.#tail = before
    else after.before = before
    this.size--
  }
}
