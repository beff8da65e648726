import { firstLimit, type LimitState, stepLimit } from './limit.ts'
import { LoadMeter, type LoadReading } from './load-meter.ts'
import type { RejectReason, ResolvedOverloadOptions } from './options.ts'
import { type Priority, RateGate, shareOf } from './priority.ts'

/** What a valve sees now, and what it has done since it was made. */
export interface OverloadState {
  readonly inFlight: number
  /** How many may be in flight now. */
  readonly limit: number
  readonly admitted: number
  /** Refused requests by priority; those of a valve without priorities are `normal`. */
  readonly rejected: Readonly<Record<Priority, number>>
  /** 1 is the limit of the process; 0 unless `maxInFlight` is `'auto'`, as are the next three. */
  readonly load: number
  /** Requests a second that the event loop can do; `Infinity` while it keeps up. */
  readonly capacity: number
  /** Latency of the fastest tenth of the requests, now and while the process is at ease. */
  readonly latencyMs: number
  readonly baselineMs: number
}

/** Counts what is in flight, and decides who may come in. Holds back no request: one comes in or is refused. */
export class Valve {
  readonly #meter: LoadMeter | undefined
  readonly #bounds: ResolvedOverloadOptions['bounds']
  readonly #now: () => number
  readonly #gate = new RateGate()
  readonly #rejected: Record<Priority, number> = { critical: 0, normal: 0, background: 0 }
  #limit: LimitState
  #inFlight = 0
  #peak = 0
  #ended = 0
  #admitted = 0
  #tickedAt: number

  constructor({ isAuto, bounds, clock }: ResolvedOverloadOptions) {
    this.#now = clock === undefined ? () => performance.now() : () => clock.now()
    this.#bounds = bounds
    this.#limit = firstLimit(bounds)
    this.#tickedAt = this.#now()
    const onTick = (reading: LoadReading): void => this.#tick(reading)
    const now = clock === undefined ? undefined : this.#now
    this.#meter = isAuto ? new LoadMeter({ now, onTick, onlyLoop: true }) : undefined
  }

  /** Why a request is refused, `undefined` if it is not: then it has to {@link leave}. */
  enter(priority: Priority | undefined): RejectReason | undefined {
    const reason = this.#refusalOf(priority)
    if (reason !== undefined) {
      this.#rejected[priority ?? 'normal']++
      return reason
    }
    this.#admitted++
    this.#inFlight++
    if (this.#inFlight > this.#peak) this.#peak = this.#inFlight
    this.#meter?.started()
    return undefined
  }

  /** @param startedAt by the clock; `undefined` if how long it took says nothing */
  leave(startedAt: number | undefined): void {
    this.#inFlight--
    this.#ended++
    this.#meter?.ended(startedAt === undefined ? undefined : this.#now() - startedAt)
  }

  /** The time, where latencies count. */
  get now(): number {
    return this.#meter === undefined ? 0 : this.#now()
  }

  get state(): OverloadState {
    const reading = this.#meter?.reading
    return {
      inFlight: this.#inFlight,
      limit: Math.floor(this.#limit.limit),
      admitted: this.#admitted,
      rejected: { ...this.#rejected },
      load: reading?.load ?? 0,
      capacity: reading?.capacity ?? Number.POSITIVE_INFINITY,
      latencyMs: reading?.latencyMs ?? 0,
      baselineMs: reading?.baselineMs ?? 0,
    }
  }

  /** Stops measuring, and lets everything in up to the largest limit. */
  close(): void {
    this.#meter?.close()
    this.#limit = firstLimit(this.#bounds)
    this.#gate.setRate(Number.POSITIVE_INFINITY, this.#now())
  }

  #refusalOf(priority: Priority | undefined): RejectReason | undefined {
    const room = shareOf(Math.floor(this.#limit.limit), priority)
    if (this.#inFlight >= room) return 'in-flight'
    if (this.#meter === undefined || this.#meter.reading.capacity === Number.POSITIVE_INFINITY) {
      return undefined
    }
    return this.#gate.take(priority, this.#now()) ? undefined : 'load'
  }

  #tick({ capacity, latencyMs, baselineMs }: LoadReading): void {
    const now = this.#now()
    const elapsedMs = Math.max(0, now - this.#tickedAt)
    this.#tickedAt = now
    const sample = {
      elapsedMs,
      peakInFlight: this.#peak,
      ended: this.#ended,
      latencyMs,
      baselineMs,
    }
    this.#limit = stepLimit(this.#limit, sample, this.#bounds)
    this.#peak = this.#inFlight
    this.#ended = 0
    this.#gate.setRate(capacity, now)
  }
}
