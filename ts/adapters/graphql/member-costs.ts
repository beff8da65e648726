import { plus, type Work } from './numbers.ts'

/** Types that are passed over in the time of one step. */
const TYPES_A_STEP = 32

/** What a selection set costs for objects of each type that an interface or a union has, by the places of the types. */
export class MemberCosts {
  readonly #length: number
  readonly #work: Work
  /** For all of them alike. */
  #all = 0
  /** Besides. */
  #each: Float64Array | undefined

  constructor(length: number, work: Work) {
    this.#length = length
    this.#work = work
  }

  addToAll(cost: number): void {
    this.#all = plus(this.#all, cost)
  }

  addTo(place: number, cost: number): void {
    this.#each ??= this.#zeros()
    this.#each[place] = plus(this.#each[place] ?? 0, cost)
  }

  addToEach(costOf: (place: number) => number): void {
    this.#work.step(this.#length / TYPES_A_STEP)
    for (let place = 0; place < this.#length; place++) this.addTo(place, costOf(place))
  }

  add(other: MemberCosts): void {
    this.addToAll(other.#all)
    const each = other.#each
    if (each !== undefined) this.addToEach((place) => each[place] ?? 0)
  }

  of(place: number): number {
    return plus(this.#all, this.#each?.[place] ?? 0)
  }

  #zeros(): Float64Array {
    this.#work.step(this.#length / TYPES_A_STEP)
    return new Float64Array(this.#length)
  }
}
