/** A caller of the model, by the number of its step. */
interface Caller {
  readonly id: number
  readonly key: string
  readonly until: number
}

interface Options {
  readonly queue: number
  readonly maxWaiters: number
  readonly maxWaitMs: number
}

/** What a limiter of permits does, in plain lists: the first of those whose key and whose total have room is next. */
export class SlowPermits {
  /** What became of each caller. */
  readonly told: string[] = []
  readonly #perKey: number
  readonly #total: number
  readonly #options: Options
  #held: Caller[] = []
  #waiting: Caller[] = []
  #now = 0

  constructor(limits: { perKey?: number; total?: number }, options: Options) {
    this.#perKey = limits.perKey ?? Number.POSITIVE_INFINITY
    this.#total = limits.total ?? Number.POSITIVE_INFINITY
    this.#options = options
  }

  get inUse(): number {
    return this.#held.length
  }

  get waiting(): number {
    return this.#waiting.length
  }

  acquire(id: number, key: string): void {
    const caller = { id, key, until: this.#now + this.#options.maxWaitMs }
    const refused = this.#against(key)
    const isBefore = this.#waiting.some((other) => other.key === key)
    if (refused === undefined && !isBefore) this.#admit(caller)
    else if (this.#isFull(key)) this.told.push(`${id} refused`)
    else this.#waiting.push(caller)
  }

  release(id: number): void {
    this.#held = this.#held.filter((caller) => caller.id !== id)
    this.#serve()
  }

  abort(id: number): void {
    if (!this.#waiting.some((caller) => caller.id === id)) return
    this.#waiting = this.#waiting.filter((caller) => caller.id !== id)
    this.told.push(`${id} gone`)
  }

  advance(ms: number): void {
    this.#now += ms
    for (const caller of this.#waiting) {
      if (caller.until <= this.#now) this.told.push(`${caller.id} refused`)
    }
    this.#waiting = this.#waiting.filter((caller) => caller.until > this.#now)
  }

  #serve(): void {
    for (;;) {
      const next = this.#waiting.find(({ key }) => this.#against(key) === undefined)
      if (next === undefined) return
      this.#waiting = this.#waiting.filter((caller) => caller !== next)
      this.#admit(next)
    }
  }

  #admit(caller: Caller): void {
    this.#held.push(caller)
    this.told.push(`${caller.id} in`)
  }

  /** Which limit is against one more of this key: its own comes first. */
  #against(key: string): string | undefined {
    if (this.#held.filter((caller) => caller.key === key).length >= this.#perKey) return 'perKey'
    return this.#held.length >= this.#total ? 'total' : undefined
  }

  #isFull(key: string): boolean {
    const { queue, maxWaiters } = this.#options
    const ofKey = this.#waiting.filter((caller) => caller.key === key).length
    return ofKey >= queue || this.#waiting.length >= maxWaiters
  }
}
