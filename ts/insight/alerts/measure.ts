import type { Figures, Report, Series, SeriesPoint, Times } from '../types.ts'
import { FIGURES, type FigureName } from './figure-names.ts'
import type { Rule } from './rule.ts'

/*
 * What a rule's figure is now. Every figure of what has happened is about the rule's window, never about all the time
 * since the start: a ratio of that time is an alert at the first request, and no alert at a later flood.
 */

/** How far back each kind of series goes. */
const MOST_STEPS = { second: 600, minute: 1_440 } as const
const STEP_MS = { second: 1_000, minute: 60_000 } as const
/** What is remembered of a counter is this many readings of a window. */
const READINGS = 60
/** A share of a single request says nothing, whatever `min` is. */
const LEAST_FOR_SHARE = 2

/** A report is made ten times in the shortest window of rules that need one, and every ten seconds at least. */
const [REPORTS, MOST_BETWEEN_MS] = [10, 10_000]

/** What was measured for a rule. */
export interface Measured {
  /** `undefined` where there is none, as without enough requests. */
  readonly value: number | undefined
  /** False if the rule names a limiter that is not there. */
  readonly isKnown: boolean
}

/** Reads the figures of rules, all at one time. */
export class Measurement {
  readonly #rules: readonly Rule[]
  readonly #histories: readonly (History | undefined)[]
  /** How old a report may be: it takes much longer than series do. `undefined` if none is needed. */
  readonly #freshMs: number | undefined
  #report: Report | undefined
  #reportAt = 0

  constructor(rules: readonly Rule[]) {
    this.#rules = rules
    this.#histories = rules.map(({ figure, windowMs }) =>
      figure in COUNTERS ? new History(windowMs) : undefined,
    )
    const ofReports = rules.filter(({ figure }) => FIGURES[figure].from === 'report')
    const windows = ofReports.map(({ windowMs }) => windowMs / REPORTS)
    this.#freshMs = windows.length === 0 ? undefined : Math.min(MOST_BETWEEN_MS, ...windows)
  }

  /** @param now when, for figures that are differences of readings */
  read(figures: Figures, now: number): readonly Measured[] {
    const series = {
      second: this.#series(figures, 'second'),
      minute: this.#series(figures, 'minute'),
    }
    const report = this.#recentReport(figures, now)
    return this.#rules.map((rule, i) => {
      if (FIGURES[rule.figure].from === 'points') return measurePoints(rule, series[rule.step])
      if (report === undefined) return { value: undefined, isKnown: true }
      return measureReport(rule, report, this.#histories[i], now)
    })
  }

  #recentReport(figures: Figures, now: number): Report | undefined {
    if (this.#freshMs === undefined) return undefined
    const age = now - this.#reportAt
    if (this.#report === undefined || age >= this.#freshMs || age < 0) {
      this.#report = figures.report()
      this.#reportAt = now
    }
    return this.#report
  }

  #series(figures: Figures, unit: Rule['step']): readonly Series[] {
    const steps = this.#rules
      .filter(({ figure, step }) => step === unit && FIGURES[figure].from === 'points')
      .map(({ windowMs }) => windowMs / STEP_MS[unit])
    if (steps.length === 0) return []
    // One more: the last step is not over.
    return figures.series({ unit, steps: Math.min(Math.max(...steps) + 1, MOST_STEPS[unit]) })
  }
}

type PointCount = Exclude<keyof SeriesPoint, 'at'>

function measurePoints(rule: Rule, all: readonly Series[]): Measured {
  const series = all.filter(({ limit }) => rule.limit === undefined || limit === rule.limit)
  const steps = rule.windowMs / STEP_MS[rule.step]
  const points = series.flatMap((one) => one.points.slice(0, -1).slice(-steps))
  const sum = (name: PointCount) => points.reduce((total, point) => total + point[name], 0)
  const requests = sum('admitted') + sum('denied') + sum('dry')
  const [what] = rule.figure.split('.') as [PointCount | 'requests']
  const counted = what === 'requests' ? requests : sum(what)
  const isKnown = rule.limit === undefined || series.length > 0
  const isShare = rule.unit === 'share'
  const isEnough = isKnown && requests >= Math.max(rule.min, isShare ? LEAST_FOR_SHARE : 0)
  const value = isShare ? counted / requests : counted / (rule.windowMs / 1_000)
  return { value: isEnough ? value : undefined, isKnown }
}

function measureReport(
  rule: Rule,
  report: Report,
  history: History | undefined,
  now: number,
): Measured {
  const counter = COUNTERS[rule.figure]
  if (counter !== undefined && history !== undefined) {
    return { value: counter(rule, report, history, now), isKnown: isKnown(rule, report) }
  }
  return { value: STATES[rule.figure]?.(report, rule), isKnown: isKnown(rule, report) }
}

function isKnown({ limit, figure }: Rule, { limits, stores }: Report): boolean {
  if (limit === undefined) return true
  if (figure === 'store.available') return stores.some((store) => store.limit === limit)
  return limits.some(({ name }) => name === limit)
}

/** Figures that are as they are now. */
const STATES: Readonly<
  Partial<Record<FigureName, (report: Report, rule: Rule) => number | undefined>>
> = {
  'store.available': ({ stores }, rule) => {
    const own = stores.filter(({ limit }) => rule.limit === undefined || limit === rule.limit)
    return own.length === 0 ? undefined : Number(own.every(({ available }) => available))
  },
  'shield.pressure': ({ shields }) => anyOf(shields.map(({ pressure }) => pressure)),
  'shield.alarm': ({ shields }) => anyOf(shields.map(({ alarm }) => alarm)),
  'shield.blocked': ({ shields }) =>
    shields.length === 0 ? undefined : shields.reduce((sum, { blocked }) => sum + blocked, 0),
  'config.stale': ({ config }) => (config === undefined ? undefined : Number(config.stale)),
}

function anyOf(states: readonly boolean[]): number | undefined {
  return states.length === 0 ? undefined : Number(states.includes(true))
}

type Counter = (rule: Rule, report: Report, history: History, now: number) => number | undefined

/** Figures that are differences of what grows from the start on. */
const COUNTERS: Readonly<Partial<Record<FigureName, Counter>>> = {
  'evictions.rate': (rule, { limits }, history, now) => {
    const own = limits.filter(({ name }) => rule.limit === undefined || name === rule.limit)
    const total = own.reduce((sum, { evictions = 0 }) => sum + evictions, 0)
    const before = history.before(now, new Map([[0, total]]))
    return (total - (before.get(0) ?? 0)) / (rule.windowMs / 1_000)
  },
  'decision.p99': (rule, { times }, history, now) => p99(rule, times.decision, history, now),
  'store.p99': (rule, { times }, history, now) => p99(rule, times.store, history, now),
  'wait.p99': (rule, { times }, history, now) => p99(rule, times.wait, history, now),
}

/** The upper bound of the cell that 99 % of the window's times lie below. */
function p99(rule: Rule, times: Times, history: History, now: number): number | undefined {
  const cells = new Map(times.cells.map(({ belowMs, count }) => [belowMs, count]))
  const before = history.before(now, cells)
  let earlier = 0
  const since = times.cells.map(({ belowMs, count }) => {
    // A cell that was not there was empty: as many lay below its bound as below the one before.
    earlier = before.get(belowMs) ?? earlier
    return { belowMs, count: count - earlier }
  })
  const all = since.at(-1)?.count ?? 0
  if (all < Math.max(1, rule.min)) return undefined
  return since.find(({ count }) => count >= all * 0.99)?.belowMs
}

type Reading = ReadonlyMap<number, number>

/** Readings of what only grows, as far back as a window. */
class History {
  readonly #windowMs: number
  #readings: { readonly at: number; readonly reading: Reading }[] = []
  #last: Reading = new Map()

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  /** Notes this reading, and returns the one from a window ago; the first, if there is none so old. */
  before(now: number, reading: Reading): Reading {
    // A limiter was closed, or the clock was set: what was read before has no meaning any more.
    const isLess = [...this.#last].some(([cell, count]) => count > (reading.get(cell) ?? 0))
    const isEarlier = now < (this.#readings.at(-1)?.at ?? now)
    if (isLess || isEarlier) this.#readings = []
    this.#last = reading
    const newest = this.#readings.at(-1)
    if (newest === undefined || now - newest.at >= this.#windowMs / READINGS) {
      this.#readings.push({ at: now, reading })
    }
    const base = this.#readings.findLastIndex(({ at }) => at <= now - this.#windowMs)
    if (base > 0) this.#readings.splice(0, base)
    return this.#readings[0]?.reading ?? reading
  }
}
