import type { MaybePromise } from '../../limiter.ts'
import {
  INTERNAL_ERROR,
  MAX_HELD,
  MAX_LATE,
  MAX_LEFT,
  MAX_LEFT_MS,
  POLICY_VIOLATION,
  reasonOf,
  TOO_BIG,
} from './bounds.ts'
import { Held } from './held.ts'
import type { Excess, Sender } from './message-limits.ts'
import type { SocketLimitEvent } from './types.ts'
import { Wait } from './wait.ts'
import { actionOn, type Passing, type Rules, type Wire } from './wire.ts'

type Phase = 'closed' | 'open' | 'asking' | 'waiting' | 'over'

/**
 * Stands between one connection and the program: lets messages through in order, each when it has been charged.
 *
 * What can't pass yet is held, and nothing more is read from the connection meanwhile.
 */
export class Gate {
  readonly #rules: Rules
  readonly #wire: Wire
  readonly #slack: number
  readonly #held = new Held<Passing>()
  #sender: Sender | undefined
  #phase: Phase = 'closed'
  #isReading = true
  /** The program has paused the connection. */
  #isStopped = false
  #isDraining = false
  #isTold = false
  #isClosing = false
  #late = 0
  readonly #wait: Wait
  /** What ends the connection for the program, once the client has closed it. */
  #finish: (() => void) | undefined
  #endsAt = Number.POSITIVE_INFINITY

  /** @param slack bytes that are held before the connection is paused */
  constructor(rules: Rules, wire: Wire, slack = 0) {
    this.#rules = rules
    this.#wire = wire
    this.#slack = slack
    this.#wait = new Wait(
      () => this.ask(),
      () => wire.beat(),
    )
  }

  /** Whether messages wait. */
  get isHolding(): boolean {
    return !this.#held.isEmpty
  }

  /** Until now all messages were held. @param sender `undefined` for one whose messages are not limited */
  open(sender: Sender | undefined): void {
    if (this.#phase !== 'closed') return
    this.#sender = sender
    this.#phase = 'open'
    this.#drain()
  }

  /** A message has come. */
  receive(message: Passing): void {
    if (this.#isClosing) {
      this.#late += message.bytes + 1
      if (this.#late > MAX_LATE) this.#wire.cut()
    }
    if (this.#phase === 'over') return
    if (this.#phase !== 'open' || !this.#held.isEmpty) {
      this.#hold(message)
      return
    }
    const verdict = this.#charge(message)
    if (verdict === undefined) {
      this.#wire.deliver(message)
      return
    }
    this.#held.push(message)
    if (this.#settle(verdict)) this.#drain()
    else this.#stopReading()
  }

  #charge(message: Passing): MaybePromise<Excess | undefined> {
    const sender = this.#sender
    if (sender === undefined || message.isFree === true) return undefined
    try {
      return this.#rules.limits.charge(message, sender)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Behind others. */
  #hold(message: Passing): void {
    if (!this.#held.isEmpty && this.#held.bytes + message.bytes > MAX_HELD) {
      this.#tell(message, { reason: 'held', retryAfterMs: Number.POSITIVE_INFINITY }, 'close')
      this.shut(POLICY_VIOLATION, 'Too many messages at once')
      return
    }
    this.#held.push(message)
    this.#stopReading()
  }

  #stopReading(): void {
    if (!this.#isReading || this.#isClosing || this.#held.bytes <= this.#slack) return
    this.#isReading = false
    this.#wait.silence()
    this.#wire.pause()
  }

  /** Acts on what was said about the first message that is held. @returns whether the next one can be asked about */
  #settle(verdict: MaybePromise<Excess | undefined>): boolean {
    if (!(verdict instanceof Promise)) return this.#act(verdict)
    this.#phase = 'asking'
    verdict.then(
      (found) => {
        if (this.#phase !== 'asking') return
        this.#phase = 'open'
        if (this.#act(found)) this.#drain()
      },
      (error) => {
        if (this.#phase === 'asking') this.#fail(error)
      },
    )
    return false
  }

  #act(excess: Excess | undefined): boolean {
    const message = this.#held.first as Passing
    const action = excess === undefined ? 'none' : actionOn(this.#rules, excess)
    if (excess !== undefined && !this.#isTold) this.#tell(message, excess, action)
    this.#isTold = action === 'pause'
    if (action === 'pause') return this.#pause((excess as Excess).retryAfterMs)
    this.#held.shift()
    if (action === 'none') this.#deliver(message)
    else if (action === 'drop') this.#wire.dropped(message, excess as Excess)
    else {
      const isNever = excess?.retryAfterMs === Number.POSITIVE_INFINITY
      this.shut(isNever ? TOO_BIG : POLICY_VIOLATION, reasonOf(excess as Excess))
    }
    return this.#phase === 'open'
  }

  /** A listener that throws must not keep the messages after this one: its error is that of the process. */
  #deliver(message: Passing): void {
    try {
      this.#wire.deliver(message)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }

  #pause(ms: number): boolean {
    if (performance.now() + ms > this.#endsAt) {
      this.#lose()
      return false
    }
    this.#phase = 'waiting'
    this.#rules.waiting.add(this)
    this.#wait.start(ms)
    return false
  }

  /** Waits no longer, and asks again. */
  ask(): void {
    this.#endWait()
    this.#phase = 'open'
    this.#drain()
  }

  #endWait(): void {
    this.#wait.stop()
    this.#rules.waiting.delete(this)
  }

  #drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    while (this.#phase === 'open' && !this.#held.isEmpty && !this.#isStopped) {
      if (!this.#settle(this.#charge(this.#held.first as Passing))) break
    }
    this.#isDraining = false
    if (this.#phase !== 'open' || !this.#held.isEmpty) return
    if (this.#finish !== undefined) this.abandon()
    else this.#read()
  }

  #read(): void {
    if (this.#isReading) return
    this.#isReading = true
    this.#wire.resume()
  }

  /** The program pauses the connection: what is held stays held. */
  stop(): void {
    this.#isStopped = this.#finish === undefined
  }

  /** The program reads again. @returns whether more may be read from the connection, too */
  go(): boolean {
    this.#isStopped = false
    if (this.#phase === 'open' && !this.#held.isEmpty) this.#drain()
    return this.#isReading
  }

  /**
   * The connection has closed.
   *
   * @param isClean whether the client has closed it: then what it sent before is delivered before
   * @param finish tells the program
   */
  end(isClean: boolean, finish: () => void): void {
    this.#finish = finish
    const { leftovers } = this.#rules
    const isDue = this.#phase !== 'waiting' || this.#wait.dueAt <= performance.now() + MAX_LEFT_MS
    const fits = leftovers.bytes + this.#held.bytes <= MAX_LEFT
    if (this.#phase === 'over' || this.#held.isEmpty) this.abandon()
    else if (!isClean || !isDue || !fits) this.#lose()
    else {
      this.#endsAt = performance.now() + MAX_LEFT_MS
      this.#isStopped = false
      leftovers.bytes += this.#held.bytes
      const taken = this.#held.bytes
      this.#finish = () => {
        leftovers.bytes -= taken
        finish()
      }
      this.#wait.alone()
      if (this.#phase === 'open') this.#drain()
    }
  }

  /** Messages wait whose client has left. */
  #lose(): void {
    const first = this.#held.first
    if (first !== undefined) {
      this.#tell(first, { reason: 'lost', retryAfterMs: Number.POSITIVE_INFINITY }, 'drop')
    }
    this.abandon()
  }

  /** Closes the connection, and drops what is held. */
  shut(code: number, reason: string): void {
    this.abandon()
    this.#wire.close(code, reason)
  }

  /** The connection is being closed. Its close frame comes last: what is before it must be read. */
  closing(): void {
    this.#isClosing = true
    this.#read()
  }

  /** Nothing more is delivered. */
  abandon(): void {
    this.#phase = 'over'
    this.#endWait()
    this.#held.clear()
    this.#isStopped = false
    this.closing()
    const finish = this.#finish
    this.#finish = undefined
    finish?.()
  }

  /** As in HTTP: a failure refuses, and the client is told nothing about it. */
  #fail(error: unknown): void {
    if (this.#sender !== undefined) this.#rules.failed(this.#sender, error)
    if (!this.#rules.isDryRun) {
      this.shut(INTERNAL_ERROR, 'The rate limit of this connection could not be checked')
      return
    }
    this.#phase = 'open'
    if (this.#act(undefined)) this.#drain()
  }

  #tell(
    { bytes }: Passing,
    { reason, retryAfterMs }: Pick<SocketLimitEvent, 'reason' | 'retryAfterMs'>,
    action: SocketLimitEvent['action'],
  ): void {
    const sender = this.#sender
    if (sender === undefined) return
    const { key, request } = sender
    this.#rules.limits.tell({ reason, action, retryAfterMs, bytes, key, request })
  }
}
