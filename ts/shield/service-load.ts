import type { Clock } from '../clock.ts'
import type { LoopProbe } from '../overload/event-loop.ts'
import { LoadMeter, type LoadReading } from '../overload/load-meter.ts'
import type { ShieldOutcome, ShieldRequest } from './types.ts'

/** How a guard measures what its service can do. */
export interface ServiceLoadOptions {
  /** Told at every tick what the service can do. */
  readonly native: { capacity(nothing: string, perSecond: number, now?: number): undefined }
  readonly clock: Clock | undefined
  /** Whether requests above that are refused. */
  readonly isEnforcing: boolean
  /** The event loop that counts, for tests. Default: that of this thread. */
  readonly loop: LoopProbe | undefined
}

/** `startedAt` of a request that was not let in, has ended, or is counted but not timed. */
const OUT = -1
const UNTIMED = -2

/** A request that carries the time at which it was let in. */
export class TimedRequest {
  startedAt: number = OUT
}

/** How many requests of a tick are timed, each; the others are counted a few at a time, which costs a tenth. */
const TIMED = 64
const AT_ONCE = 16
/** Above this load nothing is learned of a program. */
const AT_EASE = 0.85
/** The share of ends that are told begins as if this many requests had been seen, and the ends of all told. */
const PRIOR = 50
/** After this many requests the older ones count half. */
const KNOWN = 1_000

/** What the service can do, for `maxRate: 'auto'`: measured by the requests that the shield lets in. */
export class ServiceLoad {
  readonly #meter: LoadMeter
  readonly #native: ServiceLoadOptions['native']
  readonly #now: () => number
  /** When requests were let in that carry no time. */
  readonly #startedAt = new WeakMap<ShieldRequest, number>()
  #started = 0
  #refused = 0
  #told = 0
  /** Of these, what the meter does not know yet. */
  #newlyStarted = 0
  #newlyTold = 0
  #newlyRefused = 0
  /** Requests while the service was at ease, and those of them whose end was told. */
  readonly #known = { started: PRIOR, told: PRIOR }
  #untoldShare = 0
  #owed = 0

  constructor({ native, clock, isEnforcing, loop }: ServiceLoadOptions) {
    const now = clock === undefined ? undefined : () => clock.now()
    this.#now = now ?? (() => performance.now())
    this.#native = native
    const onTick = (reading: LoadReading): void => this.#tick(reading)
    this.#meter = new LoadMeter({ now, loop, onTick, isFollowed: isEnforcing })
  }

  /** A request has been let in. */
  started(request: ShieldRequest): void {
    this.#endUntold()
    this.#newlyStarted++
    const isTimed = this.#started++ < TIMED
    if (this.#isDue(this.#newlyStarted)) {
      this.#meter.started(this.#newlyStarted)
      this.#newlyStarted = 0
    }
    if (request instanceof TimedRequest) request.startedAt = isTimed ? this.#now() : UNTIMED
    else if (isTimed) this.#startedAt.set(request, this.#now())
  }

  /** A request has been refused. */
  refused(): void {
    this.#refused++
    if (!this.#isDue(++this.#newlyRefused)) return
    this.#meter.refused(this.#newlyRefused)
    this.#newlyRefused = 0
  }

  /** How a request ended. One that was refused may be given too. */
  ended(request: ShieldRequest, outcome: ShieldOutcome): void {
    const startedAt = this.#takeStart(request)
    if (startedAt === undefined) this.endedUnknown(outcome)
    else if (startedAt === UNTIMED) this.#countEnd()
    else if (startedAt !== OUT) {
      this.#told++
      const isWhole = outcome !== 'dropped' && !isRefusal(outcome)
      this.#meter.ended(isWhole ? this.#now() - startedAt : undefined)
    }
  }

  /** How a request ended that is not known: it was let in, unless its status says otherwise. */
  endedUnknown(outcome: ShieldOutcome): void {
    if (!isRefusal(outcome)) this.#countEnd()
  }

  #countEnd(): void {
    this.#told++
    if (!this.#isDue(++this.#newlyTold)) return
    this.#meter.ended(undefined, this.#newlyTold)
    this.#newlyTold = 0
  }

  close(): void {
    this.#meter.close()
  }

  #isDue(count: number): boolean {
    return count >= AT_ONCE || this.#started + this.#refused <= TIMED
  }

  /** `undefined` for a request that is not known. */
  #takeStart(request: ShieldRequest): number | undefined {
    if (request instanceof TimedRequest) {
      const { startedAt } = request
      request.startedAt = OUT
      return startedAt
    }
    const startedAt = this.#startedAt.get(request)
    if (startedAt !== undefined) this.#startedAt.delete(request)
    return startedAt
  }

  /**
   * A program may tell only how those requests end that have failed. Then the share of the others counts as ended at
   * once: else nearly nothing would be what the service can do.
   */
  #endUntold(): void {
    this.#owed += this.#untoldShare
    if (this.#owed < 1) return
    this.#owed--
    this.#meter.ended(undefined)
  }

  #tick({ capacity, load }: LoadReading): void {
    if (capacity === Number.POSITIVE_INFINITY && load < AT_EASE) {
      const known = this.#known
      const kept = known.started > KNOWN ? 0.5 : 1
      known.started = kept * known.started + this.#started
      known.told = kept * known.told + this.#told
      this.#untoldShare = Math.max(0, 1 - known.told / known.started)
    }
    this.#started = 0
    this.#refused = 0
    this.#told = 0
    // Infinite while it can do what it is asked: then there is no pressure.
    this.#native.capacity('', capacity)
  }
}

/** A limit may have refused it after the shield: so fast that it says nothing. */
function isRefusal(outcome: ShieldOutcome): boolean {
  return outcome === 429 || outcome === 503
}
