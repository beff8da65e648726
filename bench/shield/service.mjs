/**
 * What is protected: it serves `capacity` requests a second. It works in turns of 100 ms. If more came in a turn than
 * fit into it, as many are lost as are too many, drawn by lot: each is lost with the probability of the excess.
 */
export class Service {
  #room
  #random
  #waiting = []

  constructor({ capacity, turnMs, random }) {
    this.#room = (capacity * turnMs) / 1_000
    this.#random = random
  }

  take(request) {
    this.#waiting.push(request)
  }

  /** Ends a turn: tells of each request, in the order in which they came, whether it was served. */
  finish(tell) {
    const waiting = this.#waiting
    this.#waiting = []
    let room = Math.min(waiting.length, this.#room)
    let left = waiting.length
    for (const request of waiting) {
      const isServed = room >= left || this.#random.next() * left < room
      if (isServed) room--
      left--
      tell(request, isServed)
    }
  }
}
