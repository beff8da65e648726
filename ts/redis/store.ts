import { setImmediate as turn } from 'node:timers/promises'
import { shortestOf } from '../burst.ts'
import type { Clock } from '../clock.ts'
import type { Decision } from '../decision.ts'
import type { Limit } from '../limit/limit.ts'
import type { Standing } from '../tier.ts'
import type { Question } from './call.ts'
import type { Circle } from './circle.ts'
import type { Connection } from './connection.ts'
import { Deadlines } from './deadline.ts'
import { Denials } from './denials.ts'
import { type FailureKind, failureOf } from './failure.ts'
import { Fallback } from './fallback.ts'
import { groupOf, namer } from './key.ts'
import type { Grant, Lender } from './lease.ts'
import type { ResolvedRedisOptions } from './options.ts'
import { agedReply, blockMsIn, chargedUnits, readReply, standingsAt } from './reply.ts'
import { decidingScript, type Script } from './script/script.ts'
import { Connecting } from './start.ts'
import { Tally } from './tally.ts'
import { termsOf } from './terms.ts'
import type { Share, StoreUser } from './user.ts'

/** How long decisions without Redis may go on before the event loop gets a turn. */
const TURN_MS = 10

/** One limiter's counters: asks Redis, and decides without it where Redis has said enough or says nothing. */
export class Store implements Lender {
  readonly tally: Tally = new Tally()
  readonly #limits: readonly Limit[]
  readonly #connection: Connection
  /** The processes that share the limits. */
  readonly #circle: Circle
  readonly #letGoOfCircle: () => void
  readonly #options: ResolvedRedisOptions
  readonly #fallback: Fallback
  readonly #denials: Denials | undefined
  readonly #deadlines: Deadlines
  /** Before the first connection. */
  readonly #connecting: Connecting
  readonly #user: StoreUser
  readonly #script: Script
  readonly #nameOf: (key: string) => string
  readonly #tail: readonly string[]
  readonly #paced: `q${number}`
  readonly #clock: Clock | undefined
  #turnedAt = 0

  constructor(limits: readonly Limit[], options: ResolvedRedisOptions, connection: Connection) {
    const { algorithm, blockForMs, keyPrefix, name = '', localDenialsMs } = options
    const terms = termsOf(limits, algorithm)
    this.#limits = limits
    this.#options = options
    this.#connection = connection
    const { circle, letGo } = connection.servers.circle(keyPrefix, groupOf(name, terms.mark))
    this.#circle = circle
    this.#letGoOfCircle = letGo
    this.#fallback = new Fallback(limits, options, circle, () => this.#parts)
    this.#denials = localDenialsMs === 0 ? undefined : new Denials(localDenialsMs, limits)
    this.#deadlines = new Deadlines(options.deadlineMs)
    const { maxWaitersPerKey, maxWaiters } = options
    this.#connecting = new Connecting(options.connectTimeoutMs, maxWaitersPerKey, maxWaiters)
    const { deadlineMs, connectTimeoutMs, onError, onStoreChange } = options
    const share = (): Share => this.#share()
    this.#user = { deadlineMs, connectTimeoutMs, onError, onStoreChange, share }
    connection.join(this.#user)
    this.#script = decidingScript(algorithm)
    this.#nameOf = namer(keyPrefix, name, terms.mark)
    const [first, second, third, ...further] = terms.numbers
    this.#tail = [first, second, third, [blockForMs, ...further].join(' ')] as string[]
    this.#paced = `q${shortestOf(limits) + 1}`
    this.#clock = options.clock
  }

  /** Processes that share the limits: as told, as counted, or just this one. */
  get processes(): number {
    return this.#options.processes ?? Math.max(1, this.#circle.processes)
  }

  /** Into how many parts the limits are cut without Redis: a process that never reached it counts alone. */
  get #parts(): number {
    if (this.#options.processes !== undefined) return this.#options.processes
    return this.#connection.servers.isAlone ? 1 : this.#circle.parts
  }

  #share(): Share {
    const counted = this.#connection.servers.isAlone ? 'nothing' : 'seen'
    const from = this.#options.processes === undefined ? counted : 'option'
    return { parts: this.#parts, from }
  }

  /** Whether Redis would be asked now about this key. */
  isAsked(key: string): boolean {
    return this.#connection.isOpen(this.#nameOf(key), this.#options.deadlineMs)
  }

  /** The denial that Redis has named for this key before, if it still holds. */
  recall(key: string): Decision | undefined {
    if (this.#denials?.any !== true) return undefined
    const known = this.#denials.find(key, this.#now())
    if (known !== undefined) this.tally.deniedLocally++
    return known
  }

  /** @param since `performance.now()` when the caller came, if that was earlier */
  async check(key: string, cost: number, since?: number): Promise<Decision> {
    const askedAt = this.#now()
    try {
      const decision = readReply(await this.#ask('c', key, cost, since), this.#limits)
      this.#learn(key, cost, decision, askedAt)
      return decision
    } catch (error) {
      await this.#note(error)
      return this.#fallback.check(key, cost)
    }
  }

  /**
   * As `check`, but a denial begins no block, and is not remembered: the caller waits for its turn.
   *
   * @param isPaced a leaky bucket admits only while the bucket of the limit with the shortest window is empty
   */
  async take(key: string, cost: number, isPaced: boolean): Promise<Decision> {
    const op = isPaced && this.#options.algorithm === 'leaky-bucket' ? this.#paced : 't'
    try {
      const decision = readReply(await this.#ask(op, key, cost), this.#limits)
      if (decision.allowed) this.#denials?.forget(key)
      return decision
    } catch (error) {
      await this.#note(error)
      return this.#fallback.take(key, cost, isPaced)
    }
  }

  /** A denial as it reads some milliseconds later, if nothing has happened to the key since. */
  aged(denial: Decision, ms: number): Decision {
    return agedReply(denial, ms, this.#limits)
  }

  /** See {@link Lender}. */
  async borrow(
    key: string,
    least: number,
    most: number,
    since: number,
  ): Promise<Grant | FailureKind> {
    const askedAt = this.#now()
    try {
      const numbers = await this.#ask(most, key, least, since)
      const decision = readReply(numbers, this.#limits)
      this.#learn(key, least, decision, askedAt)
      return { decision, granted: chargedUnits(numbers) }
    } catch (error) {
      await this.#giveTurn()
      return failureOf(error).kind
    }
  }

  /** See {@link Lender}. */
  alone(key: string, cost: number, kind: FailureKind): Decision {
    this.tally.failed(kind)
    return this.#fallback.check(key, cost)
  }

  async peek(key: string, cost: number): Promise<Decision> {
    try {
      return readReply(await this.#ask('p', key, cost), this.#limits)
    } catch (error) {
      await this.#note(error)
      return this.#fallback.peek(key, cost)
    }
  }

  /** Gives back to what has charged: to Redis while it answers, else to what decides in its place. */
  async refund(key: string, units: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#tell('r', key, units, () => this.#fallback.refund(key, units))
  }

  /** See {@link Lender}. What Redis has charged is given back to Redis or not at all. */
  async giveBack(key: string, units: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#tell('r', key, units, () => {})
  }

  async block(key: string, ms: number): Promise<void> {
    this.#denials?.forget(key)
    await this.#tell('b', key, ms, () => this.#fallback.block(key, ms))
  }

  async reset(key: string): Promise<void> {
    this.#denials?.forget(key)
    this.#fallback.reset(key)
    await this.#tell('d', key, 0, () => {})
  }

  /** What came with the decision; a fallback's decision speaks for all limits. */
  standings(key: string, decision: Decision): readonly Standing[] {
    const known = standingsAt(decision, this.#limits.length) ?? this.#fallback.standings(key)
    if (known !== undefined) return known
    const { remaining, resetMs } = decision
    return this.#limits.map(() => ({ remaining, moreMs: resetMs }))
  }

  /** See {@link Lender}. */
  served(): void {
    this.tally.leased++
  }

  close(): void {
    this.#connection.leave(this.#user)
    this.#deadlines.expireAll()
    this.#connecting.deadlines.expireAll()
    this.#fallback.close()
    this.#letGoOfCircle()
  }

  #ask(
    op: Question['op'],
    key: string,
    amount: number,
    since?: number,
  ): Promise<readonly number[]> {
    this.tally.asked++
    const tail = this.#clock === undefined ? this.#tail : this.#timed(this.#clock)
    const question = { script: this.#script, name: this.#nameOf(key), op, amount, tail }
    return this.#connection.ask(question, this.#deadlines, this.#connecting, since)
  }

  async #tell(op: Question['op'], key: string, amount: number, instead: () => void): Promise<void> {
    try {
      await this.#ask(op, key, amount)
    } catch (error) {
      await this.#note(error)
      instead()
    }
  }

  /** Remembers a denial of one unit; an admission proves that what was remembered is out of date. */
  #learn(key: string, cost: number, decision: Decision, askedAt: number): void {
    if (decision.allowed) {
      if (this.#denials?.any === true) this.#denials.forget(key)
    } else if (cost === 1) this.#remember(key, decision, askedAt)
  }

  /** With `blockFor`, until the block ends: another denial after that begins another block. */
  #remember(key: string, decision: Decision, askedAt: number): void {
    if (this.#denials === undefined) return
    const blockMs = this.#options.blockForMs > 0 ? blockMsIn(decision) : 0
    const ms = blockMs > 0 ? Math.min(decision.retryAfterMs, blockMs) : decision.retryAfterMs
    this.#denials.remember(key, decision, ms, askedAt, this.#now())
  }

  async #note(error: unknown): Promise<void> {
    this.tally.failed(failureOf(error).kind)
    await this.#giveTurn()
  }

  /**
   * Lets the event loop turn now and then: a caller that asks in a loop would otherwise never let in the
   * news that Redis is back.
   */
  async #giveTurn(): Promise<void> {
    const now = performance.now()
    if (now - this.#turnedAt < TURN_MS) return
    await turn()
    this.#turnedAt = performance.now()
  }

  #timed(clock: Clock): readonly string[] {
    return [...this.#tail, String(Math.round(clock.now() * 1000))]
  }

  #now(): number {
    return this.#clock === undefined ? performance.now() : this.#clock.now()
  }
}
