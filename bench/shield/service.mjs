const TURNS = 10

/**
 * What is protected: it serves `capacity` requests a second. It works in ten turns a second, and looks back one
 * second: if more come than it can do in this second, each request is lost with the probability of the excess. It
 * never serves more than `capacity` from one full second to the next.
 */
export class Service {
  #capacity
  #random
  #waiting = []
  #turn = 0
  #served = 0
  #came = new Array(TURNS).fill(0)

  constructor({ capacity, random }) {
    this.#capacity = capacity
    this.#random = random
  }

  take(request) {
    this.#waiting.push(request)
  }

  /** Ends a turn: tells of each request, in the order in which they came, whether it was served. */
  finish(tell) {
    const waiting = this.#waiting
    this.#waiting = []
    let room = this.#room(waiting.length)
    let left = waiting.length
    for (const request of waiting) {
      const isServed = room >= left || this.#random.next() * left < room
      if (isServed) {
        room--
        this.#served++
      }
      left--
      tell(request, isServed)
    }
  }

  /** How many of those who wait can be served, with or without a fraction. */
  #room(count) {
    const turn = this.#turn
    this.#turn = (turn + 1) % TURNS
    if (turn === 0) this.#served = 0
    this.#came[turn] = count
    const pace = this.#came.reduce((sum, came) => sum + came) / TURNS
    const expected = count + pace * (TURNS - 1 - turn)
    const free = this.#capacity - this.#served
    return expected <= free ? count : Math.min(free, (count * free) / expected)
  }
}
