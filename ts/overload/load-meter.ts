import { EventLoop, type LoopProbe, NO_LOOP } from './event-loop.ts'
import { Latencies } from './latencies.ts'
import { AT_EASE, type LoadReading, type LoadState, step } from './load.ts'

export type { LoadReading } from './load.ts'

/** Options of {@link LoadMeter}. */
export interface LoadMeterOptions {
  /**
   * Milliseconds. With it nothing runs on timers: ticks come with requests. And the event loop counts only if `loop`
   * is given, because its time is another one. Default: the system's monotonic clock.
   */
  readonly now?: (() => number) | undefined
  /** Called after each tick. */
  readonly onTick?: ((reading: LoadReading) => void) | undefined
  /** Default: the event loop of this thread. */
  readonly loop?: LoopProbe | undefined
  /** Whether requests that wait outside of the event loop are no pressure. Default: false. */
  readonly onlyLoop?: boolean | undefined
  /** Whether the caller lets in no more than the capacity. Default: true. */
  readonly isFollowed?: boolean | undefined
}

const TICK_MS = 250
/** A tick that no timer has brought comes with a request, this much later. */
const GRACE_MS = 50
/** After this long without a request the meter stops until the next one. */
const IDLE_MS = 5_000

/**
 * Measures the load of this process: how busy and how late its event loop is, and how long requests take beside what
 * they take when it is at ease. Begins with the first request.
 */
export class LoadMeter {
  readonly #now: () => number
  readonly #onTick: ((reading: LoadReading) => void) | undefined
  readonly #loop: LoopProbe
  readonly #isTimed: boolean
  readonly #latencies = new Latencies()
  #state: LoadState
  #started = 0
  #ended = 0
  #refused = 0
  #inFlight = 0
  #lastTick = 0
  #lastRequest = 0
  /** When a request has to bring the tick. */
  #due = Number.POSITIVE_INFINITY
  #timerDue = 0
  #delayMs = 0
  #timer: NodeJS.Timeout | undefined
  #phase: 'idle' | 'running' | 'closed' = 'idle'

  constructor({ now, onTick, loop, onlyLoop = false, isFollowed = true }: LoadMeterOptions = {}) {
    this.#isTimed = now === undefined
    this.#state = { ...AT_EASE, onlyLoop, isFollowed }
    this.#now = now ?? (() => performance.now())
    this.#onTick = onTick
    this.#loop = loop ?? (now === undefined ? new EventLoop() : NO_LOOP)
  }

  /** What was read in the last tick. */
  get reading(): LoadReading {
    return this.#state
  }

  /** A request begins to be served, or as many as that. */
  started(count = 1): void {
    const now = this.#now()
    if (this.#phase === 'idle') this.#run(now)
    this.#started += count
    this.#inFlight += count
    this.#tickIfDue(now)
  }

  /**
   * A request has ended.
   *
   * @param latencyMs how long it took, `undefined` if that says nothing: its client has left
   * @param count how many have ended
   */
  ended(latencyMs: number | undefined, count = 1): void {
    this.#ended += count
    this.#inFlight = Math.max(0, this.#inFlight - count)
    if (latencyMs !== undefined && latencyMs >= 0) this.#latencies.add(latencyMs)
    if (!this.#isTimed) this.#tickIfDue(this.#now())
  }

  /** Requests were refused for want of capacity. While there are such, pressure is not over. */
  refused(count = 1): void {
    this.#refused += count
    this.#tickIfDue(this.#now())
  }

  /** Stops measuring. */
  close(): void {
    this.#stop('closed')
    const { onlyLoop, isFollowed } = this.#state
    this.#state = { ...AT_EASE, onlyLoop, isFollowed }
  }

  #tickIfDue(now: number): void {
    // A clock that was set back begins a new tick.
    if (now >= this.#due || (now < this.#lastTick && this.#phase === 'running')) this.#tick(now)
  }

  #run(now: number): void {
    this.#phase = 'running'
    this.#lastTick = now
    this.#lastRequest = now
    this.#loop.start()
    this.#arm(now)
  }

  #stop(phase: 'idle' | 'closed'): void {
    this.#phase = phase
    this.#due = Number.POSITIVE_INFINITY
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#loop.stop()
  }

  #arm(now: number): void {
    this.#timerDue = now + TICK_MS
    this.#due = this.#isTimed ? this.#timerDue + GRACE_MS : this.#timerDue
    if (!this.#isTimed) return
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#onTimer(), TICK_MS).unref()
    else this.#timer.refresh()
  }

  #onTimer(): void {
    const now = this.#now()
    this.#tick(now)
    if (this.#phase === 'running' && now - this.#lastRequest > IDLE_MS) this.#stop('idle')
    if (this.#phase === 'running') this.#arm(now)
  }

  #tick(now: number): void {
    if (this.#started + this.#ended + this.#refused > 0) this.#lastRequest = now
    const { utilization, delayMs, computing } = this.#loop.read()
    // While the loop has not come round, it is at least as late as its timer.
    this.#delayMs = delayMs ?? Math.max(this.#delayMs, now - this.#timerDue)
    this.#state = step(this.#state, {
      elapsedMs: Math.max(0, now - this.#lastTick),
      utilization,
      computing,
      delayMs: this.#delayMs,
      started: this.#started,
      ended: this.#ended,
      refused: this.#refused,
      inFlight: this.#inFlight,
      latencyMs: this.#latencies.takeFastest(),
    })
    this.#lastTick = now
    this.#started = 0
    this.#ended = 0
    this.#refused = 0
    this.#due = now + TICK_MS
    if (!this.#isTimed && delayMs !== undefined) this.#timerDue = this.#due
    this.#onTick?.(this.#state)
  }
}
