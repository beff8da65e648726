import type { StoreStatus } from '../limiter.ts'
import type { Deadlines } from '../remote/deadlines.ts'
import { StoreFailure } from '../remote/failure.ts'
import type { StoreUser } from '../remote/outage.ts'
import { Call, type Question, wordsOf } from './call.ts'
import { Corks } from './corks.ts'
import { failureOf, isScriptLost } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'
import type { ServerBreaker } from './nodes.ts'
import { lateness, readNumbers } from './reply.ts'
import { Servers } from './servers.ts'
import { type Connecting, type Parked, Start } from './start.ts'

/**
 * Our connection to Redis.
 *
 * A question is sent only when the connection is ready and its server answers; it is sent once, and carries
 * the time after which the script must not act on it any more. What was cut off may have been charged, and
 * is never asked again.
 */
export class Connection {
  readonly servers: Servers
  readonly #link: RedisConnection
  readonly #corks: Corks
  readonly #started: Promise<void>
  /** Until Redis has answered for the first time, or has been waited for long enough. */
  #start: Start | undefined

  constructor(link: RedisConnection) {
    this.#link = link
    this.#corks = new Corks(link)
    this.servers = new Servers(link, () => this.#begin())
    this.#start = new Start(() => this.#giveUpStart())
    this.#started = this.#start.over
    link.connect().catch(() => {})
  }

  /** Whether the server that holds `name` would be asked. */
  isOpen(name: string, deadlineMs: number): boolean {
    return this.#start !== undefined || this.servers.gateOf(name).isAvailableWithin(deadlineMs)
  }

  /** One more limiter. It lets its callers wait for the first connection. */
  join(user: StoreUser): void {
    this.servers.users.add(user)
    this.#start?.wait(user.connectTimeoutMs)
  }

  leave(user: StoreUser): void {
    this.servers.users.delete(user)
  }

  /** Waits for the first connection, if there was none yet, and says whether Redis decides. */
  async ready(): Promise<StoreStatus> {
    await this.#started
    return this.servers.status
  }

  /**
   * What the script answers. Whatever becomes of the connection, it resolves or rejects within the deadline;
   * before the first connection, within the time for connecting.
   *
   * @param since when the caller came, if that was earlier than now: its deadline counts from then
   * @throws StoreFailure
   */
  ask(
    question: Question,
    deadlines: Deadlines,
    connecting: Connecting,
    since?: number,
  ): Promise<readonly number[]> {
    const now = performance.now()
    const from = since ?? now
    return new Promise((resolve, reject) => {
      if (this.#start !== undefined) {
        this.#start.park({ question, deadlines, resolve, reject }, connecting, now)
        return
      }
      const gate = this.servers.gateOf(question.name)
      if (!gate.isAvailableWithin(deadlines.ms)) {
        reject(new StoreFailure('unavailable'))
        return
      }
      const call = new Call(question, from + deadlines.ms, resolve, reject)
      if (call.dueAt <= now) {
        reject(new StoreFailure('timeout'))
        return
      }
      call.isShort = now - from > deadlines.ms / 2
      deadlines.add(call, from, now)
      this.#send(call, gate, now)
    })
  }

  async close(): Promise<void> {
    await this.servers.close()
    this.#link.disconnect()
    this.#link.release?.()
    this.#endStart()
  }

  #send(call: Call, gate: ServerBreaker, now: number): void {
    const { script, name, op, amount, tail } = call.question
    call.gate = gate
    call.sentAt = now
    this.#corks.cork()
    const deadline = gate.skew.deadline(call.dueAt, now)
    this.#link.evalsha(script.sha, '1', name, wordsOf(op, amount, deadline), ...tail).then(
      (reply) => this.#answered(call, reply),
      (error: unknown) => this.#failed(call, error, deadline),
    )
  }

  #answered(call: Call, reply: unknown): void {
    const numbers = readNumbers(reply)
    if (numbers === undefined) {
      call.fail(new StoreFailure('garbled'))
      return
    }
    const late = lateness(numbers)
    if (late !== undefined) this.#sendAgain(call, late)
    else {
      if (numbers.length % 2 === 0) call.gate?.skew.learn(call.sentAt, numbers.at(-1) ?? 0)
      call.answer(numbers)
    }
  }

  /** The server's clock is ahead of where we took it to be, or the call was long on its way. */
  #sendAgain(call: Call, serverUs: number): void {
    const { gate } = call
    gate?.skew.forget()
    gate?.skew.learn(call.sentAt, serverUs)
    const now = performance.now()
    if (call.settled || call.repeated || gate === undefined || now >= call.dueAt) {
      call.fail(new StoreFailure('timeout'))
      return
    }
    call.repeated = true
    this.#send(call, gate, now)
  }

  #failed(call: Call, error: unknown, deadline: string): void {
    if (!isScriptLost(error) || call.settled) {
      call.fail(failureOf(error))
      return
    }
    const { script, name, op, amount, tail } = call.question
    this.#link.eval(script.text, '1', name, wordsOf(op, amount, deadline), ...tail).then(
      (reply) => this.#answered(call, reply),
      (again: unknown) => call.fail(failureOf(again)),
    )
  }

  /** Redis answers: those who have waited for that are sent. */
  #begin(): void {
    const now = performance.now()
    for (const parked of this.#endStart()) {
      this.#send(parked.call(now), this.servers.gateOf(parked.question.name), now)
    }
  }

  #giveUpStart(): void {
    if (this.#start === undefined) return
    const parked = this.#endStart()
    this.servers.giveUpStart()
    for (const caller of parked) caller.turnAway()
  }

  #endStart(): readonly Parked[] {
    const parked = this.#start?.finish() ?? []
    this.#start = undefined
    return parked
  }
}
