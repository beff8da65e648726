import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { Deadlines } from '../remote/deadlines.ts'
import { failureOf } from '../remote/failure.ts'
import type { Share, StoreUser } from '../remote/outage.ts'
import { StartQueue } from './calls.ts'
import type { Connection } from './connection.ts'
import type { ProcessGroup } from './heartbeat.ts'
import { groupOf, namer } from './key.ts'
import type { ResolvedRedisOptions } from './resolve.ts'
import type { Script, ScriptArgs } from './script/index.ts'
import { Tally } from './tally.ts'

/** How long decisions without Redis may go on before the event loop gets a turn. */
const TURN_MS = 10

/** Asks Redis on behalf of one limiter. */
export class Asker {
  readonly tally: Tally = new Tally()
  /** The processes that share the limits. */
  readonly circle: ProcessGroup
  readonly #connection: Connection
  readonly #letGoOfCircle: () => void
  readonly #options: ResolvedRedisOptions
  readonly #deadlines: Deadlines
  /** Before the first connection. */
  readonly #connecting: StartQueue
  readonly #user: StoreUser
  readonly #script: Script
  readonly #nameOf: (key: string) => string
  readonly #clock: Clock | undefined
  #turnedAt = 0

  /** @param mark tells states apart that can't be read by one another */
  constructor(
    options: ResolvedRedisOptions,
    connection: Connection,
    { mark, script }: { readonly mark: string; readonly script: Script },
  ) {
    const { keyPrefix, name = '' } = options
    this.#options = options
    this.#connection = connection
    const { group, leave } = connection.nodes.heartbeats.join(keyPrefix, groupOf(name, mark))
    this.circle = group
    this.#letGoOfCircle = leave
    this.#deadlines = new Deadlines(options.deadlineMs)
    const { maxWaitersPerKey, maxWaiters } = options
    this.#connecting = new StartQueue(options.connectTimeoutMs, maxWaitersPerKey, maxWaiters)
    const { deadlineMs, connectTimeoutMs, onError, onStoreChange } = options
    const share = (): Share => this.#share()
    this.#user = { deadlineMs, connectTimeoutMs, onError, onStoreChange, share }
    connection.join(this.#user)
    this.#script = script
    this.#nameOf = namer(keyPrefix, name, mark)
    this.#clock = options.clock
  }

  /** Processes that share the limits: as told, as counted, or just this one. */
  get processes(): number {
    return this.#options.processes ?? Math.max(1, this.circle.processes)
  }

  /** Into how many parts the limits are cut without Redis: a process that never reached it counts alone. */
  get parts(): number {
    if (this.#options.processes !== undefined) return this.#options.processes
    return this.#connection.nodes.heartbeats.isCounted ? this.circle.parts : 1
  }

  /** Whether Redis would be asked now about this key. */
  isAsked(key: string): boolean {
    return this.#connection.isOpen(this.#nameOf(key), this.#options.deadlineMs)
  }

  /**
   * @param tail the arguments that say which limits count
   * @param since `performance.now()` when the caller came, if that was earlier
   */
  ask(
    op: ScriptArgs['op'],
    key: string,
    amount: number,
    tail: readonly string[],
    since?: number,
  ): Promise<readonly number[]> {
    this.tally.asked++
    const timed = this.#clock === undefined ? tail : this.#timed(this.#clock, tail)
    const question = { script: this.#script, name: this.#nameOf(key), op, amount, tail: timed }
    return this.#connection.call(question, this.#deadlines, this.#connecting, since)
  }

  /** @param instead what is done when Redis does not answer */
  async tell(
    op: ScriptArgs['op'],
    key: string,
    amount: number,
    tail: readonly string[],
    instead: () => void,
  ): Promise<void> {
    try {
      await this.ask(op, key, amount, tail)
    } catch (error) {
      await this.note(error)
      instead()
    }
  }

  async note(error: unknown): Promise<void> {
    this.tally.failed(failureOf(error).kind)
    await this.giveTurn()
  }

  /**
   * Lets the event loop turn now and then: a caller that asks in a loop would otherwise never let in the
   * news that Redis is back.
   */
  async giveTurn(): Promise<void> {
    const now = performance.now()
    if (now - this.#turnedAt < TURN_MS) return
    await turn()
    this.#turnedAt = performance.now()
  }

  /** The time by which denials are remembered. */
  now(): number {
    return this.#clock === undefined ? performance.now() : this.#clock.now()
  }

  /** Ends the wait of all who still do. */
  close(): void {
    this.#connection.leave(this.#user)
    this.#deadlines.expireAll()
    this.#connecting.deadlines.expireAll()
  }

  /** Others no longer count this process among those who share the limits. */
  letGo(): void {
    this.#letGoOfCircle()
  }

  #share(): Share {
    const counted = this.#connection.nodes.heartbeats.isCounted ? 'seen' : 'nothing'
    const from = this.#options.processes === undefined ? counted : 'option'
    return { parts: this.parts, from }
  }

  #timed(clock: Clock, tail: readonly string[]): readonly string[] {
    return [...tail, String(Math.round(clock.now() * 1000))]
  }
}
