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
}

/** Node looks at the clock this often. It does not run JavaScript for it. */
const RESOLUTION_MS = 20
const NS_PER_MS = 1e6

/** The event loop of this thread. */
export class EventLoop implements LoopProbe {
  #histogram: IntervalHistogram | undefined
  #utilization: EventLoopUtilization | undefined

  start(): void {
    const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks')
    this.#histogram ??= monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#histogram.reset()
    this.#histogram.enable()
    this.#utilization = performance.eventLoopUtilization()
  }

  stop(): void {
    this.#histogram?.disable()
  }

  read(): LoopReading {
    const histogram = this.#histogram
    if (histogram === undefined) return { utilization: 0, delayMs: 0 }
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#utilization)
    this.#utilization = now
    const hasCome = histogram.count > 0
    const delayMs = hasCome ? Math.max(0, histogram.min / NS_PER_MS - RESOLUTION_MS) : undefined
    histogram.reset()
    return { utilization, delayMs }
  }
}

/** No event loop: for time that is not real. */
export const NO_LOOP: LoopProbe = {
  start: () => {},
  stop: () => {},
  read: () => ({ utilization: 0, delayMs: 0 }),
}
