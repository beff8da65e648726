/** A bounded number of values, and of characters of what they are known by. */
const MOST_ENTRIES = 10_000
const MOST_CHARACTERS = 1_000_000

/** What was asked for lately, by a text. Bounded; what has not been asked for the longest is forgotten. */
export class Recent<T> {
  #young = new Map<string, T>()
  #old: ReadonlyMap<string, T> = new Map()
  #characters = 0

  get(text: string): T | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const old = this.#old.get(text)
    if (old !== undefined) this.set(text, old)
    return old
  }

  /** Half of the bound is for those asked for since the last change of generations, half for those before. */
  set(text: string, value: T): void {
    if (text.length > MOST_CHARACTERS / 100) return
    const isFull =
      this.#young.size >= MOST_ENTRIES / 2 || this.#characters + text.length > MOST_CHARACTERS / 2
    if (isFull) {
      this.#old = this.#young
      this.#young = new Map()
      this.#characters = 0
    }
    this.#young.set(text, value)
    this.#characters += text.length
  }
}
