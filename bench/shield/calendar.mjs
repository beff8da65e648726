/**
 * What is to happen, in slots of virtual time. An actor is an object with `act(now)`; it acts at the start of its
 * slot, in the order in which it was entered. Entering and taking cost the same however much is entered.
 */
export class Calendar {
  #slots = new Map()
  #slotMs
  #current = 0

  constructor(slotMs, startMs) {
    this.#slotMs = slotMs
    this.#current = Math.floor(startMs / slotMs)
  }

  /** At `time`, or in the next slot if that has passed. */
  at(time, actor) {
    const slot = Math.max(Math.floor(time / this.#slotMs), this.#current)
    const entered = this.#slots.get(slot)
    if (entered === undefined) this.#slots.set(slot, [actor])
    else entered.push(actor)
  }

  /** Runs the current slot, also what is entered for it meanwhile, and moves on to the next. */
  run() {
    const now = this.#current * this.#slotMs
    const entered = this.#slots.get(this.#current)
    if (entered !== undefined) {
      for (let i = 0; i < entered.length; i++) entered[i].act(now)
      this.#slots.delete(this.#current)
    }
    this.#current++
  }
}
