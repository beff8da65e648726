import { FakeClock } from 'ratethrottle/testing'
import type { Figures, Report, Series, SeriesPoint, SeriesUnit } from '../../../ts/insight/types.ts'

/** What a test says has happened in one second. */
export type Second = Partial<Omit<SeriesPoint, 'at'>>

const EMPTY = { admitted: 0, denied: 0, dry: 0, waited: 0 }
const STEP_MS = { second: 1_000, minute: 60_000, hour: 3_600_000 } as const

/** Figures as a test wants them, over time of its own. */
export class FakeFigures implements Figures {
  readonly clock: FakeClock = new FakeClock(1_000_000_000_000)
  /** The parts of a report that rules read. */
  report_: {
    limits: { name: string; evictions: number }[]
    stores: { limit: string; available: boolean; reason: string | undefined }[]
    shields: { pressure: boolean; alarm: boolean; blocked: number }[]
    config: { stale: boolean; loadedAt: number } | undefined
    times: Record<'decision' | 'store' | 'wait', { cells: { belowMs: number; count: number }[] }>
  } = {
    limits: [],
    stores: [],
    shields: [],
    config: undefined,
    times: { decision: { cells: [] }, store: { cells: [] }, wait: { cells: [] } },
  }
  readonly #seconds = new Map<string, Map<number, Second>>()

  /** In the second that is now. */
  add(limit: string, what: Second): void {
    const seconds = this.#seconds.get(limit) ?? new Map<number, Second>()
    this.#seconds.set(limit, seconds)
    const at = Math.floor(this.clock.now() / 1_000)
    const before = { ...EMPTY, ...seconds.get(at) }
    const { admitted = 0, denied = 0, dry = 0, waited = 0 } = what
    seconds.set(at, {
      admitted: before.admitted + admitted,
      denied: before.denied + denied,
      dry: before.dry + dry,
      waited: before.waited + waited,
    })
  }

  report(): Report {
    return this.report_ as unknown as Report
  }

  series({ unit, steps = 60 }: { unit: SeriesUnit; steps?: number | undefined }): Series[] {
    const stepMs = STEP_MS[unit]
    const most = { second: 600, minute: 1_440, hour: 720 }[unit]
    if (steps > most) throw new RangeError(`steps must be at most ${most}, got ${steps}`)
    const last = Math.floor(this.clock.now() / stepMs)
    return [...this.#seconds].map(([limit, seconds]) => ({
      limit,
      unit,
      points: Array.from({ length: steps }, (_, i) => {
        const at = (last - steps + 1 + i) * stepMs
        const point = { at, ...EMPTY }
        for (const [second, what] of seconds) {
          if (second * 1_000 < at || second * 1_000 >= at + stepMs) continue
          for (const name of Object.keys(EMPTY) as (keyof typeof EMPTY)[]) {
            point[name] += what[name] ?? 0
          }
        }
        return point
      }),
    }))
  }
}
