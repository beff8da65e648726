import { addCounts, NONE, readStep, type StepCounts, summed } from './kept-steps.ts'
import type { LimitReport, Report, Series, SeriesPoint } from './types.ts'

/** Steps that hosts tell each other: as many as Redis keeps of each kind, and how many are told again after an outage. */
export const UNITS = {
  minute: { ms: 60_000, kept: 1_440, again: 60 },
  hour: { ms: 3_600_000, kept: 720, again: 24 },
} as const

/** What is kept in Redis. */
export type KeptUnit = keyof typeof UNITS
export const KEPT_UNITS: readonly KeptUnit[] = ['minute', 'hour']

/** A step of the server's clock: its number since 1970. */
export interface StepId {
  readonly unit: KeptUnit
  readonly step: number
}

/** Fields and values of one step: anything may be in them. */
export type StepFields = readonly (readonly [field: string, value: string])[]

/** Steps that are read before those of the other unit. */
const FIRST = 120
const NO_LIMITS: ReadonlyMap<string, StepCounts> = new Map()

/** What other hosts have counted, as far as it was read. Bounded: 2,160 steps of at most 65 limits. */
export class OtherHosts {
  readonly #me: string
  readonly #stepOf: (unit: KeptUnit, at: number) => number
  readonly #steps = {
    minute: new Map<number, ReadonlyMap<string, StepCounts>>(),
    hour: new Map<number, ReadonlyMap<string, StepCounts>>(),
  }
  /** How many processes the other hosts have reported, by the minute. */
  readonly #processes = new Map<number, number>()

  /**
   * @param me what this process calls itself
   * @param stepOf the step of the server's clock at a time of this process'
   */
  constructor(me: string, stepOf: (unit: KeptUnit, at: number) => number) {
    this.#me = me
    this.#stepOf = stepOf
  }

  /**
   * Which steps are to be read: those that may have changed, then those that were never read, the newest first.
   *
   * @param isLate whether a host may have told late
   */
  wanted(isLate: boolean): readonly StepId[] {
    const [minutes = [], hours = []] = KEPT_UNITS.map((unit) => {
      const newest = this.#stepOf(unit, Date.now())
      const { kept, again } = UNITS[unit]
      for (const step of this.#steps[unit].keys()) {
        if (step <= newest - kept) this.#steps[unit].delete(step)
      }
      const isWanted = (step: number, ago: number): boolean =>
        ago < 2 || (isLate && ago < again) || !this.#steps[unit].has(step)
      return Array.from({ length: kept }, (_, ago) => ({ unit, step: newest - ago })).filter(
        ({ step }, ago) => isWanted(step, ago),
      )
    })
    const first = [...minutes.slice(0, FIRST), ...hours.slice(0, FIRST)]
    return [...first, ...minutes.slice(FIRST), ...hours.slice(FIRST)]
  }

  learn({ unit, step }: StepId, fields: StepFields): void {
    const limits = new Map<string, StepCounts>()
    const processes = new Map<string, number>()
    for (const [field, value] of fields) {
      const [memory = ''] = field.split(':', 1)
      const read = memory === this.#me ? undefined : readStep(value)
      if (read === undefined) continue
      for (const [limit, counts] of read.limits) addCounts(limits, limit, counts)
      processes.set(memory, Math.max(read.processes, processes.get(memory) ?? 0))
    }
    this.#steps[unit].set(step, limits)
    if (unit !== 'minute') return
    this.#processes.set(
      step,
      [...processes.values()].reduce((sum, one) => sum + one, 0),
    )
    const newest = this.#stepOf('minute', Date.now())
    for (const known of this.#processes.keys())
      if (known < newest - 1) this.#processes.delete(known)
  }

  /** A report of this process about the last `sinceMs`, with what others have counted in that time. */
  addTo(report: Report, sinceMs: number): Report {
    const unit = sinceMs <= (UNITS.minute.kept - 1) * UNITS.minute.ms ? 'minute' : 'hour'
    const { ms, kept } = UNITS[unit]
    // One more, since a host's steps need not begin where those of the server's clock do.
    const others = this.#sumOf(unit, Math.min(kept, Math.ceil(sinceMs / ms) + 1))
    const known = new Set(report.limits.map(({ name }) => name))
    const elsewhere = [...others.keys()].filter((name) => !known.has(name))
    const total = [...others.values()].reduce(summed, NONE)
    return {
      ...report,
      processes: report.processes + this.#alive(),
      totals: { ...report.totals, ...summed(report.totals, total) },
      limits: [...report.limits, ...elsewhere.map(emptyLimit)].map((limit) => {
        return { ...limit, ...summed(limit, others.get(limit.name) ?? NONE) }
      }),
    }
  }

  /** Series of this process, with what others have counted. */
  addToSeries(own: readonly Series[], unit: KeptUnit, steps: number): readonly Series[] {
    const times = own[0]?.points.map(({ at }) => at) ?? this.#timesOf(unit, steps)
    const at = new Map(times.map((time) => [time, this.#steps[unit].get(this.#stepOf(unit, time))]))
    const known = new Set(own.map(({ limit }) => limit))
    const names = new Set([...at.values()].flatMap((limits) => [...(limits ?? NO_LIMITS).keys()]))
    const elsewhere = [...names].filter((name) => !known.has(name))
    const empty: readonly SeriesPoint[] = times.map((time) => ({ at: time, ...NONE }))
    const all = [...own, ...elsewhere.map((limit): Series => ({ limit, unit, points: empty }))]
    return all.map(({ limit, points }) => {
      const added = points.map((point) => {
        const others = at.get(point.at)?.get(limit)
        return others === undefined ? point : { at: point.at, ...summed(point, others) }
      })
      return { limit, unit, points: added }
    })
  }

  /** When the last steps of the server's clock began, by this process' clock, and no earlier. */
  #timesOf(unit: KeptUnit, steps: number): readonly number[] {
    const { ms } = UNITS[unit]
    const now = Date.now()
    const begun = Math.floor(now / ms) * ms
    const isOfNewest = this.#stepOf(unit, begun) === this.#stepOf(unit, now)
    const newest = isOfNewest ? begun : now
    return Array.from({ length: steps }, (_, i) => newest - (steps - 1 - i) * ms)
  }

  #sumOf(unit: KeptUnit, steps: number): ReadonlyMap<string, StepCounts> {
    const newest = this.#stepOf(unit, Date.now())
    const sums = new Map<string, StepCounts>()
    for (let step = newest - steps + 1; step <= newest; step++) {
      for (const [limit, counts] of this.#steps[unit].get(step) ?? NO_LIMITS) {
        addCounts(sums, limit, counts)
      }
    }
    return sums
  }

  /** Processes elsewhere. In a minute that has just begun not all have told yet. */
  #alive(): number {
    const newest = this.#stepOf('minute', Date.now())
    return Math.max(this.#processes.get(newest) ?? 0, this.#processes.get(newest - 1) ?? 0)
  }
}

/** A limit that only others have. */
function emptyLimit(name: string): LimitReport {
  return {
    ...NONE,
    name,
    refunded: 0,
    gaveUp: 0,
    withoutStore: 0,
    limits: [],
    deniedBy: [],
    algorithm: undefined,
    tier: undefined,
    evictions: undefined,
    liveKeys: undefined,
  }
}
