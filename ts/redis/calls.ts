import { Deadlines, type Waiting } from '../remote/deadlines.ts'
import { StoreFailure } from '../remote/failure.ts'
import type { ScriptArgs } from './script/index.ts'
import type { Server } from './server.ts'

/** The wait is split into parts, so that a process that is busy with its own start does not use it up. */
const WAIT_PARTS = 8
/** A timer may fire this much too early. */
const TIMER_MS = 2

type Resolve = (numbers: readonly number[]) => void
type Reject = (failure: StoreFailure) => void

/** A script call under way. It is settled once: by a reply, by a failure, or by its deadline. */
export class ScriptCall implements Waiting {
  settled = false
  /** Where it was sent, if it was sent. */
  server: Server | undefined
  /** Whether it was sent a second time, because the first is known to have changed nothing. */
  repeated = false
  sentAt = 0
  /** Whether it had so little time left when it was sent that a timeout says nothing about the server. */
  isShort = false
  readonly args: ScriptArgs
  /** `performance.now()` at which its caller stops waiting. */
  readonly dueAt: number
  protected readonly resolve: Resolve
  protected readonly reject: Reject

  constructor(args: ScriptArgs, dueAt: number, resolve: Resolve, reject: Reject) {
    this.args = args
    this.dueAt = dueAt
    this.resolve = resolve
    this.reject = reject
  }

  answer(numbers: readonly number[]): void {
    if (this.settled) return
    this.settled = true
    this.server?.succeeded(this.sentAt)
    this.resolve(numbers)
  }

  fail(failure: StoreFailure): void {
    if (this.settled) return
    this.settled = true
    if (!this.isShort || failure.kind !== 'timeout') {
      this.server?.callFailed(failure, this.args, this.dueAt - this.sentAt)
    }
    this.reject(failure)
  }

  expire(): void {
    this.fail(new StoreFailure('timeout'))
  }
}

/** How long, and how many, callers of one limiter may wait for the first connection. */
export class StartQueue {
  readonly deadlines: Deadlines
  readonly maxPerKey: number
  readonly max: number
  /** Callers that wait. */
  waiting = 0

  constructor(ms: number, maxPerKey: number, max: number) {
    this.deadlines = new Deadlines(ms)
    this.maxPerKey = maxPerKey
    this.max = max
  }
}

/** A call that waits for the first connection. */
export class ParkedCall extends ScriptCall {
  readonly #deadlines: Deadlines
  readonly #onExpire: (call: ParkedCall) => void

  /** @param deadlines the deadlines of calls that need not wait */
  constructor(
    args: ScriptArgs,
    dueAt: number,
    [resolve, reject]: readonly [Resolve, Reject],
    deadlines: Deadlines,
    onExpire: (call: ParkedCall) => void,
  ) {
    super(args, dueAt, resolve, reject)
    this.#deadlines = deadlines
    this.#onExpire = onExpire
  }

  /** The call to send when Redis is there: it has the rest of the wait, but at least as long as any call. */
  unparked(now: number): ScriptCall {
    const dueAt = now + this.#deadlines.ms
    if (this.dueAt >= dueAt) return this
    this.settled = true
    const call = new ScriptCall(this.args, dueAt, this.resolve, this.reject)
    this.#deadlines.add(call, now)
    return call
  }

  override expire(): void {
    if (this.server !== undefined) {
      super.expire()
      return
    }
    this.#onExpire(this)
    this.turnAway()
  }

  turnAway(): void {
    this.fail(new StoreFailure('disconnected'))
  }
}

/** The time until Redis has replied once, or was waited for long enough. Callers wait for that, within bounds. */
export class StartUp {
  /** Resolves when Redis has replied, or the wait is over. */
  readonly over: Promise<void>
  readonly #end: () => void
  readonly #giveUp: () => void
  readonly #parked = new Set<ParkedCall>()
  readonly #perName = new Map<string, number>()
  #longestMs = 0
  #waitedMs = 0
  #timer: NodeJS.Timeout | undefined

  /** @param giveUp called if there is no connection in time */
  constructor(giveUp: () => void) {
    this.#giveUp = giveUp
    let end = (): void => {}
    this.over = new Promise((resolve) => {
      end = resolve
    })
    this.#end = end
  }

  /** A limiter waits this long, in milliseconds. The longest wait of all limiters counts. */
  wait(ms: number): void {
    this.#longestMs = Math.max(this.#longestMs, ms)
    if (this.#timer === undefined) this.#nextPart()
  }

  /** @param queue of the caller's limiter */
  park(
    args: ScriptArgs,
    deadlines: Deadlines,
    queue: StartQueue,
    now: number,
    settle: readonly [Resolve, Reject],
  ): void {
    const waiting = this.#perName.get(args.name) ?? 0
    if (waiting >= queue.maxPerKey || queue.waiting >= queue.max) {
      const [, reject] = settle
      reject(new StoreFailure('unavailable'))
      return
    }
    const dueAt = now + queue.deadlines.ms
    const call = new ParkedCall(args, dueAt, settle, deadlines, (expired) => {
      queue.waiting--
      this.#leave(expired)
      // The outage is reported before the caller learns of it: it may end the process. A limiter that is
      // closed only ends the wait of its own callers.
      const isDue = performance.now() > dueAt - TIMER_MS
      if (isDue && queue.deadlines.ms >= this.#longestMs) this.#giveUp()
    })
    queue.waiting++
    this.#perName.set(args.name, waiting + 1)
    this.#parked.add(call)
    queue.deadlines.add(call, now)
  }

  /** Ends the wait. Returns the calls that still waited. */
  finish(): readonly ParkedCall[] {
    clearTimeout(this.#timer)
    const parked = [...this.#parked]
    this.#parked.clear()
    this.#perName.clear()
    this.#end()
    return parked
  }

  #leave(call: ParkedCall): void {
    this.#parked.delete(call)
    const { name } = call.args
    const left = (this.#perName.get(name) ?? 1) - 1
    if (left > 0) this.#perName.set(name, left)
    else this.#perName.delete(name)
  }

  #nextPart(): void {
    const ms = Math.min(this.#longestMs / WAIT_PARTS, this.#longestMs - this.#waitedMs)
    this.#timer = setTimeout(() => {
      this.#waitedMs += ms
      if (this.#waitedMs < this.#longestMs) this.#nextPart()
      // First reads what arrived while the event loop was busy.
      else setImmediate(this.#giveUp)
    }, ms).unref()
  }
}
