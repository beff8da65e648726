import type { EventLoopUtilization, IntervalHistogram } from 'node:perf_hooks'

/** What is measured of an event loop. */
export interface LoopProbe {
  start(): void
  stop(): void
  /** What was measured since the last call. */
  read(): LoopReading
}

/** An event loop between two moments. */
export interface LoopReading {
  /** Share of the time in which it had work. */
  readonly utilization: number
  /** How late it was, at the least late moment; `undefined` if it has not come round since. */
  readonly delayMs: number | undefined
  /** Share of the time in which the process had a processor, more than 1 with several threads. */
  readonly computing: number
}

/** Node looks at the clock this often. It does not run JavaScript for it. */
const RESOLUTION_MS = 20
const NS_PER_MS = 1e6
const NO_USAGE: NodeJS.CpuUsage = { user: 0, system: 0 }
const NO_READING: LoopReading = { utilization: 0, delayMs: 0, computing: 1 }

/** The event loop of this thread. */
export class EventLoop implements LoopProbe {
  #histogram: IntervalHistogram | undefined
  #utilization: EventLoopUtilization | undefined
  #usage = NO_USAGE
  #readAt = 0

  start(): void {
    const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks')
    this.#histogram ??= monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#histogram.reset()
    this.#histogram.enable()
    this.#utilization = performance.eventLoopUtilization()
    this.#usage = process.cpuUsage()
    this.#readAt = performance.now()
  }

  stop(): void {
    this.#histogram?.disable()
  }

  read(): LoopReading {
    const histogram = this.#histogram
    if (histogram === undefined) return NO_READING
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization)
    this.#utilization = now
    const hasCome = histogram.count > 0
    const delayMs = hasCome ? Math.max(0, histogram.min / NS_PER_MS - RESOLUTION_MS) : undefined
    histogram.reset()
    return { utilization, delayMs, computing: this.#computing() }
  }

  #computing(): number {
    const { user, system } = process.cpuUsage(this.#usage)
    const now = performance.now()
    const elapsedUs = (now - this.#readAt) * 1_000
    this.#usage = process.cpuUsage()
    this.#readAt = now
    return elapsedUs > 0 ? (user + system) / elapsedUs : 1
  }
}

/** No event loop: for time that is not real. */
export const NO_LOOP: LoopProbe = {
  start: () => {},
  stop: () => {},
  read: () => NO_READING,
}
