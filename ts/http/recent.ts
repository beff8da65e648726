/** Bounds of {@link Recent}: values, and characters of their texts. */
const MAX_ENTRIES = 10_000
const MAX_CHARACTERS = 1_000_000

/** Values that were used recently, by a text. Bounded: the least recently used are forgotten. */
export class Recent<T> {
  #young = new Map<string, T>()
  #old: ReadonlyMap<string, T> = new Map()
  #characters = 0

  get(text: string): T | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const old = this.#old.get(text)
    return old === undefined ? undefined : this.set(text, old)
  }

  /** Two generations, each with half of the bound: when the young one is full it becomes the old one. */
  set(text: string, value: T): T {
    if (text.length > MAX_CHARACTERS / 100) return value
    const isFull =
      this.#young.size >= MAX_ENTRIES / 2 || this.#characters + text.length > MAX_CHARACTERS / 2
    if (isFull) {
      this.#old = this.#young
      this.#young = new Map()
      this.#characters = 0
    }
    this.#young.set(text, value)
    this.#characters += text.length
    return value
  }
}
