/** What each event of a message costs in memory besides its bytes. */
const OVERHEAD = 256
/** Places of messages that have left are given up when there are this many. */
const MAX_GAP = 1_024

/** What is known of a message's size. */
interface Weighed {
  readonly bytes: number
  readonly events: readonly unknown[]
}

function weightOf({ bytes, events }: Weighed): number {
  return bytes + events.length * OVERHEAD
}

/** Messages that wait, first come, first served. Each step takes the same time, however many there are. */
export class Held<Message extends Weighed> {
  #list: (Message | undefined)[] = []
  #next = 0
  #bytes = 0

  get isEmpty(): boolean {
    return this.#next === this.#list.length
  }

  /** What they take in memory, about. */
  get bytes(): number {
    return this.#bytes
  }

  get first(): Message | undefined {
    return this.#list[this.#next]
  }

  push(message: Message): void {
    this.#list.push(message)
    this.#bytes += weightOf(message)
  }

  shift(): void {
    const message = this.#list[this.#next]
    if (message === undefined) return
    this.#bytes -= weightOf(message)
    this.#list[this.#next++] = undefined
    if (this.#next === this.#list.length) this.clear()
    else if (this.#next >= MAX_GAP && this.#next * 2 >= this.#list.length) {
      this.#list = this.#list.slice(this.#next)
      this.#next = 0
    }
  }

  clear(): void {
    this.#list = []
    this.#next = 0
    this.#bytes = 0
  }
}
