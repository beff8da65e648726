import { Call, type Question } from './call.ts'
import type { Link } from './client.ts'
import { Corks } from './corks.ts'
import type { Deadlines } from './deadline.ts'
import { failureOf, isScriptLost, StoreFailure } from './failure.ts'
import type { Gate } from './gate.ts'
import { lateness, readNumbers } from './reply.ts'
import { Servers } from './servers.ts'

/**
 * Our connection to Redis.
 *
 * A question is sent only when the connection is ready and its server answers; it is sent once, and carries
 * the time after which the script must not act on it any more. What was cut off may have been charged, and
 * is never asked again.
 */
export class Connection {
  readonly servers: Servers
  readonly #link: Link
  readonly #corks: Corks
  /** Who asks before Redis has answered for the first time waits, as far as the deadlines allow. */
  #early: Call[] | undefined = []

  constructor(link: Link) {
    this.#link = link
    this.#corks = new Corks(link)
    this.servers = new Servers(link, () => this.#start())
    link.on('error', () => {})
    link.connect().catch(() => {})
  }

  /** Whether the server that holds `name` would be asked. */
  isOpen(name: string): boolean {
    return this.#early !== undefined || this.servers.gateOf(name).open
  }

  /**
   * What the script answers. Whatever becomes of the connection, it resolves or rejects within the deadline.
   *
   * @throws StoreFailure
   */
  ask(question: Question, deadlines: Deadlines): Promise<readonly number[]> {
    const now = performance.now()
    return new Promise((resolve, reject) => {
      const early = this.#early
      if (early !== undefined) {
        const giveUp = (failure: StoreFailure): void => {
          reject(failure)
          this.#giveUpStart()
        }
        const call = new Call(question, now + deadlines.ms, resolve, giveUp)
        early.push(call)
        deadlines.add(call, now)
        return
      }
      const gate = this.servers.gateOf(question.name)
      if (!gate.open) {
        reject(new StoreFailure('unavailable'))
        return
      }
      const call = new Call(question, now + deadlines.ms, resolve, reject)
      deadlines.add(call, now)
      this.#send(call, gate, now)
    })
  }

  async close(): Promise<void> {
    await this.servers.close()
    this.#link.disconnect()
  }

  #send(call: Call, gate: Gate, now: number): void {
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

  #start(): void {
    const early = this.#early ?? []
    this.#early = undefined
    const now = performance.now()
    for (const call of early) {
      if (!call.settled) this.#send(call, this.servers.gateOf(call.question.name), now)
    }
  }

  #giveUpStart(): void {
    const early = this.#early
    if (early === undefined) return
    this.#early = undefined
    this.servers.giveUpStart()
    for (const call of early) call.fail(new StoreFailure('unavailable'))
  }
}

/** A script's first argument: a check of one unit, which most are, says only until when. */
function wordsOf(op: Question['op'], amount: number, deadline: string): string {
  return op === 'c' && amount === 1 ? deadline : `${deadline} ${amount} ${op}`
}
