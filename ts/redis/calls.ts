import type { Decision } from '../decision.ts'
import type { Asker } from '../remote/backend.ts'
import { type BreakerOwner, CircuitBreaker } from '../remote/circuit-breaker.ts'
import type { Deadlines, Waiting } from '../remote/deadlines.ts'
import { cutOffFailure, StoreFailure, type StoreUser } from '../remote/failure.ts'
import { ClockOffset } from './clock-offset.ts'
import type { Reply, ScriptArgs } from './script/index.ts'

/* Calls of scripts: the server that each is sent to, its clock, and the wait for the first connection. */

/** The wait is split into parts, so that a process that is busy with its own start does not use it up. */
const WAIT_PARTS = 8
/** One server: its circuit breaker, its clock, and what failed there last. */
export class Server extends CircuitBreaker {
  readonly clock: ClockOffset = new ClockOffset()
  /** The script call that failed last: a probe runs the same script. */
  sample: ScriptArgs | undefined
  /** Whose call that was. */
  #sampleOf: RedisUser | undefined
  /** A name on this server: that of the set of processes whose heartbeat failed last, or of the last sample. */
  place = ''
  /** Why it is not available, as far as that is known. */
  failure: StoreFailure | undefined

  /** @param node in a cluster `host:port`, else empty */
  constructor(
    readonly node: string,
    owner: BreakerOwner,
    isAvailable: boolean,
  ) {
    super(owner, isAvailable)
  }

  /**
   * @param asked the script call, or the name of a set of processes
   * @param givenMs how long the call was given
   * @param user whose call it was
   */
  callFailed(
    failure: StoreFailure,
    asked: ScriptArgs | string,
    givenMs: number,
    user?: RedisUser,
  ): void {
    if (typeof asked === 'string') this.place = asked
    else {
      this.sample = asked
      this.#sampleOf = user
    }
    this.failed(failure, givenMs)
    // A connection to one server of a cluster cannot serve the keys of the others.
    if (failure.reason === 'MOVED') this.open(failure)
  }

  /** The limiter is closed: what it was refused, such as names with its prefix, is no more asked for. */
  forget(user: RedisUser): void {
    if (this.#sampleOf !== user || this.sample === undefined) return
    // Which server of a cluster is meant is still known by the name.
    this.place = this.sample.name
    this.sample = undefined
    this.#sampleOf = undefined
  }

  protected override onOpen(): void {
    this.clock.forget()
  }
}

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

  /** @param dueAt `performance.now()` at which its caller stops waiting */
  constructor(
    readonly args: ScriptArgs,
    readonly dueAt: number,
    private asker: Asker | undefined,
    private readonly user: RedisUser,
  ) {}

  /** Throws if the reply is not what `args.read` expects. */
  answer(reply: Reply): void {
    if (this.settled) return
    const { read } = this.args
    if (read === undefined && typeof reply === 'number') throw new StoreFailure('garbled')
    const decision = read?.(reply)
    this.settled = true
    this.server?.succeeded(this.sentAt)
    this.#letGo()?.answered(decision as Decision)
  }

  fail(failure: StoreFailure): void {
    if (this.settled) return
    this.settled = true
    if (!this.isShort || failure.kind !== 'timeout') {
      this.server?.callFailed(failure, this.args, this.dueAt - this.sentAt, this.user)
    }
    this.#letGo()?.failed(failure)
  }

  expire(): void {
    this.fail(new StoreFailure('timeout'))
  }

  cutOff(): void {
    this.settled = true
    this.#letGo()?.failed(cutOffFailure())
  }

  /** A call that was settled may be kept for a while, and must not keep its caller's key alive. */
  #letGo(): Asker | undefined {
    const { asker } = this
    this.asker = undefined
    return asker
  }
}

/** A limiter, as its connection sees it. */
export interface RedisUser extends StoreUser {
  /** The deadlines of its calls once there was a connection. */
  readonly deadlines: Deadlines
  /** The deadlines of its calls before the first connection. */
  readonly startDeadlines: Deadlines
  readonly maxWaitersPerKey: number
  readonly maxWaiters: number
  /** Callers that wait for the first connection. */
  waiting: number
}

/** A call that its limiter makes before the first connection. */
export interface EarlyCall {
  readonly args: ScriptArgs
  readonly user: RedisUser
  /** `performance.now()` at which its caller stops waiting, if there is no connection by then. */
  readonly dueAt: number
  readonly asker: Asker
}

/** The time until Redis has replied once, or was waited for long enough. Callers wait for that, within bounds. */
export class StartUp {
  #end: () => void = () => {}
  /** Resolves when Redis has replied, or the wait is over. */
  readonly over: Promise<void> = new Promise((resolve) => {
    this.#end = resolve
  })
  readonly #parked = new Set<EarlyCall & Waiting>()
  readonly #perName = new Map<string, number>()
  /** How many limiters wait for how long. */
  readonly #waits = new Map<number, number>()
  #longestMs = 0
  #waitedMs = 0
  #timer: NodeJS.Timeout | undefined

  /** @param giveUp called if there is no connection in time */
  constructor(private readonly giveUp: () => void) {}

  /** A limiter waits this long, in milliseconds. The longest wait of all limiters counts. */
  wait(ms: number): void {
    this.#waits.set(ms, (this.#waits.get(ms) ?? 0) + 1)
    this.#longestMs = Math.max(this.#longestMs, ms)
    if (this.#timer === undefined) this.#nextPart()
  }

  /** A limiter that waited this long was closed: those that are left wait no longer than they want to. */
  leave(ms: number): void {
    const others = (this.#waits.get(ms) ?? 1) - 1
    if (others > 0) this.#waits.set(ms, others)
    else this.#waits.delete(ms)
    const longestMs = Math.max(...this.#waits.keys())
    if (this.#waits.size === 0 || longestMs === this.#longestMs) return
    this.#longestMs = longestMs
    clearTimeout(this.#timer)
    this.#nextPart()
  }

  /** Lets a call wait, or rejects it if too many of its limiter wait already. */
  park(call: EarlyCall, now: number): void {
    const { args, user, asker } = call
    const waiting = this.#perName.get(args.name) ?? 0
    if (waiting >= user.maxWaitersPerKey || user.waiting >= user.maxWaiters) {
      asker.failed(new StoreFailure('unavailable'))
      return
    }
    const parked = {
      ...call,
      settled: false,
      expire: (): void => this.#expire(parked),
      cutOff: (): void => this.#leave(parked, cutOffFailure()),
    }
    user.waiting++
    this.#perName.set(args.name, waiting + 1)
    this.#parked.add(parked)
    user.startDeadlines.add(parked, now)
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

  #expire(call: EarlyCall & Waiting): void {
    // The outage is reported before the caller learns of it, because the caller may end the process.
    if (call.user.connectTimeoutMs >= this.#longestMs) this.giveUp()
    if (!call.settled) this.#leave(call, new StoreFailure('disconnected'))
  }

  #leave(call: EarlyCall & Waiting, failure: StoreFailure): void {
    const { args, user, asker } = call
    call.settled = true
    user.waiting--
    this.#parked.delete(call)
    const left = (this.#perName.get(args.name) ?? 1) - 1
    if (left > 0) this.#perName.set(args.name, left)
    else this.#perName.delete(args.name)
    asker.failed(failure)
  }

  #nextPart(): void {
    const left = this.#longestMs - this.#waitedMs
    const ms = Math.max(0, Math.min(this.#longestMs / WAIT_PARTS, left))
    this.#timer = setTimeout(() => {
      this.#waitedMs += ms
      if (this.#waitedMs < this.#longestMs) this.#nextPart()
      // First reads what arrived while the event loop was busy.
      else setImmediate(this.giveUp)
    }, ms).unref()
  }
}
