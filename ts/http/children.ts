import { tellOfLimitersPerRequest, wasAnyAsked } from './per-request.ts'

/** What is closed with the limiter that has made it. */
export interface Child {
  /** Whether it has more than memory, such as a connection that only closing it ends. */
  readonly holdsConnection: boolean
}

/** More than this made by one limiter while requests come in are made for the requests. */
const MANY = 1_000

const GONE = new FinalizationRegistry<() => void>((forget) => forget())

/**
 * What a limiter has made, for `ready` and `close`. The program may let go of one that it no longer uses: held
 * from here, each would keep its table for as long as the limiter lives.
 */
export class Children<T extends Child> implements Iterable<T> {
  readonly #members = new Set<T | WeakRef<T>>()
  #late = 0

  add(child: T): void {
    if (wasAnyAsked()) this.#late++
    if (this.#late === MANY) tellOfLimitersPerRequest()
    if (child.holdsConnection) this.#members.add(child)
    else {
      const members = this.#members
      const reference = new WeakRef(child)
      members.add(reference)
      GONE.register(child, () => members.delete(reference))
    }
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const member of this.#members) {
      const child = member instanceof WeakRef ? member.deref() : member
      if (child !== undefined) yield child
    }
  }
}
