import type { Decision } from '../decision.ts'
import { StoreFailure } from '../remote/failure.ts'
import { Deadlines, type Waiting } from '../remote/guard.ts'
import type { ScriptArgs } from './script/index.ts'
import type { Server } from './server.ts'

/** The wait is split into parts, so that a process that is busy with its own start does not use it up. */
const WAIT_PARTS = 8
/** A timer may fire this much too early. */
const TIMER_MS = 2

type Resolve = (decision: Decision | undefined) => void
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
  readonly #resolve: Resolve
  readonly #reject: Reject

  constructor(args: ScriptArgs, dueAt: number, resolve: Resolve, reject: Reject) {
    this.args = args
    this.dueAt = dueAt
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Throws if the numbers are not what `args.read` expects. */
  answer(numbers: readonly number[]): void {
    if (this.settled) return
    const decision = this.args.read?.(numbers)
    this.settled = true
    this.server?.succeeded(this.sentAt)
    this.#resolve(decision)
  }

  fail(failure: StoreFailure): void {
    if (this.settled) return
    this.settled = true
    if (!this.isShort || failure.kind !== 'timeout') {
      this.server?.callFailed(failure, this.args, this.dueAt - this.sentAt)
    }
    this.#reject(failure)
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

/** A call that its limiter makes before the first connection. */
export interface EarlyCall {
  readonly args: ScriptArgs
  /** The deadlines of the limiter's calls once there is a connection. */
  readonly deadlines: Deadlines
  readonly queue: StartQueue
  /** `performance.now()` at which it was made. */
  readonly since: number
  readonly resolve: Resolve
  readonly reject: Reject
}

type ParkedCall = EarlyCall & Waiting

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

  /** Lets a call wait, or rejects it if too many of its limiter wait already. */
  park(call: EarlyCall): void {
    const { args, queue, since, reject } = call
    const waiting = this.#perName.get(args.name) ?? 0
    if (waiting >= queue.maxPerKey || queue.waiting >= queue.max) {
      reject(new StoreFailure('unavailable'))
      return
    }
    const parked = { ...call, settled: false, expire: (): void => this.#expire(parked) }
    queue.waiting++
    this.#perName.set(args.name, waiting + 1)
    this.#parked.add(parked)
    queue.deadlines.add(parked, since)
  }

  /** Ends the wait. Returns the calls that still waited. */
  finish(): readonly EarlyCall[] {
    clearTimeout(this.#timer)
    const parked = [...this.#parked]
    for (const call of parked) call.settled = true
    this.#parked.clear()
    this.#end()
    return parked
  }

  #expire(call: ParkedCall): void {
    const { args, queue, since, reject } = call
    call.settled = true
    queue.waiting--
    this.#parked.delete(call)
    const left = (this.#perName.get(args.name) ?? 1) - 1
    if (left > 0) this.#perName.set(args.name, left)
    else this.#perName.delete(args.name)
    // The outage is reported before the caller learns of it, because the caller may end the process. A limiter
    // that is closed only ends the wait of its own callers.
    const { ms } = queue.deadlines
    const isDue = performance.now() > since + ms - TIMER_MS
    if (isDue && ms >= this.#longestMs) this.#giveUp()
    reject(new StoreFailure('disconnected'))
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
