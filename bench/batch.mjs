import assert from 'node:assert/strict'

/** Calls per harness iteration: so many that the harness's own cost vanishes in the figure. */
export const BATCH = 1000

/** Goes round and round through a case's inputs, a thousand calls at a time, and keeps the tally. */
export class Batch {
  #next = 0
  calls = 0
  #admitted = 0

  constructor(loop, inputs) {
    this.isAsync = loop.constructor.name === 'AsyncFunction'
    this.run = this.isAsync
      ? async () => this.#count(await loop(inputs, ...this.#advance(inputs)))
      : () => this.#count(loop(inputs, ...this.#advance(inputs)))
  }

  /** Every timed call had one right answer: this is where a wrong one, or none, fails the run. */
  assertAnswers(outcome) {
    const expected = outcome === 'admit' ? this.calls : 0
    const message = `${this.#admitted} of ${this.calls} calls were admitted, not ${expected}`
    assert.equal(this.#admitted, expected, message)
  }

  /** The tally begins again. */
  restart() {
    this.calls = 0
    this.#admitted = 0
  }

  /** The share of the calls that was denied. */
  get denied() {
    return 1 - this.#admitted / this.calls
  }

  #advance(inputs) {
    const start = this.#next
    this.#next = (start + BATCH) % inputs.length
    this.calls += BATCH
    return [start, start + BATCH]
  }

  #count(admitted) {
    this.#admitted += admitted
  }
}
