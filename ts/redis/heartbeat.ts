import { withTimeout } from '../limiter.ts'
import type { Server } from './calls.ts'
import { redisFailure, timedOut } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'
import { FIRST_HEARTBEATS_MS, ProcessCount, type ProcessGroup } from './process-count.ts'

const TIMEOUT_MS = 1_000

/** The heartbeats of one connection: one command an interval for each `keyPrefix`, whatever the number of limiters. */
export class Heartbeats {
  readonly #connection: RedisConnection
  readonly #serverOf: (name: string) => Server
  readonly #counts = new Map<string, ProcessCount>()
  readonly #timer: NodeJS.Timeout
  #soon: NodeJS.Immediate | undefined
  /** Whether this process was ever counted. If not, it knows of no other. */
  isCounted = false

  /** @param serverOf the server that holds a name */
  constructor(connection: RedisConnection, serverOf: (name: string) => Server) {
    this.#connection = connection
    this.#serverOf = serverOf
    this.#timer = setInterval(() => void this.#sendDue(), FIRST_HEARTBEATS_MS).unref()
  }

  /**
   * The processes that share the limits of one more limiter, counted from now on.
   *
   * @param limits tells limits with this prefix apart
   */
  join(prefix: string, limits: string): { readonly group: ProcessGroup; leave(): void } {
    const count = this.#counts.get(prefix) ?? new ProcessCount(prefix)
    this.#counts.set(prefix, count)
    const group = count.join(limits, this)
    if (group.processes === 0) this.#sendSoon(count)
    return { group, leave: () => count.leave(limits) }
  }

  /** Sends all heartbeats now: they also prove that the server works. Rejects if one fails. */
  async send(): Promise<void> {
    const counts = [...this.#counts.values()].filter(({ isLeft }) => !isLeft)
    await Promise.all(counts.map((count) => this.#send(count)))
  }

  /** Makes all heartbeats due at the end of this turn of the event loop. */
  sendAllSoon(): void {
    for (const count of this.#counts.values()) this.#sendSoon(count)
  }

  /**
   * Never rejects.
   *
   * @param tells whether to tell Redis that this process is gone
   */
  async stop(tells: boolean): Promise<void> {
    clearInterval(this.#timer)
    clearImmediate(this.#soon)
    if (!tells) return
    await this.#depart([...this.#counts.values()])
  }

  /** Never rejects. */
  async #depart(counts: readonly ProcessCount[]): Promise<void> {
    const gone = counts.map((count) =>
      count.depart(this.#connection, this.#serverOf(count.name).clock),
    )
    await withTimeout(Promise.allSettled(gone), TIMEOUT_MS, timedOut).catch(() => {})
  }

  async #send(count: ProcessCount): Promise<void> {
    await count.send(this.#connection, this.#serverOf(count.name).clock)
    this.isCounted = true
    if (count.dueAt <= performance.now()) this.#sendSoon(count)
  }

  /** One command for all limiters that are made in the same turn of the event loop. */
  #sendSoon(count: ProcessCount): void {
    count.dueAt = 0
    this.#soon ??= setImmediate(() => {
      this.#soon = undefined
      void this.#sendDue()
    }).unref()
  }

  /** A heartbeat that fails counts as a call that failed. */
  async #sendDue(): Promise<void> {
    for (const [prefix, count] of this.#counts) {
      const server = this.#serverOf(count.name)
      // Redis may refuse names with this prefix alone, which is of no interest to limiters with others.
      if (count.isLeft) {
        this.#counts.delete(prefix)
        if (server.isAvailable) await this.#depart([count])
        continue
      }
      if (!server.isAvailable || count.dueAt > performance.now()) continue
      await withTimeout(this.#send(count), TIMEOUT_MS, timedOut).catch((error: unknown) => {
        server.callFailed(redisFailure(error), count.name, TIMEOUT_MS)
      })
    }
  }
}
