import { capped, limitLabels } from './formats/labels.ts'
import { unlessClosed } from './formats/register.ts'
import type { Figures, LimitReport, Report, Times } from './types.ts'

/*
 * There is no general convention for rate limiters yet. The names mirror those of ASP.NET Core, the only ones that
 * are stable: policy, result, queued requests. What is passed in is an object of @opentelemetry/api; it is
 * never imported.
 */

/** Attributes of a measurement. */
type Attributes = { [name: string]: string }

/** An instrument that is asked for its value. */
export type OtelObservable = object

/** What a callback measures with. */
export interface OtelResult {
  observe(instrument: never, value: number, attributes?: Attributes): void
}

/** What is said about an instrument when it is made. */
export interface OtelInstrumentOptions {
  description?: string
  unit?: string
  advice?: { explicitBucketBoundaries?: number[] }
}

/** A `Meter` of @opentelemetry/api, as far as it is used here. */
export interface OtelMeter {
  createObservableCounter(name: string, options?: OtelInstrumentOptions): OtelObservable
  createObservableUpDownCounter(name: string, options?: OtelInstrumentOptions): OtelObservable
  createHistogram(
    name: string,
    options?: OtelInstrumentOptions,
  ): { record(value: number, attributes?: Attributes): void }
  addBatchObservableCallback(callback: (result: OtelResult) => void, observables: never[]): void
  removeBatchObservableCallback(callback: (result: OtelResult) => void, observables: never[]): void
}

/** Bounds of waits in seconds, as ASP.NET Core has them. */
const WAIT_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/**
 * Has a meter of OpenTelemetry report the figures, each time that it collects.
 *
 * @returns a function that stops it
 */
export function openTelemetry(figures: Pick<Figures, 'report'>, meter: OtelMeter): () => void {
  const requests = meter.createObservableCounter('ratethrottle.requests', {
    description: 'Requests that a limiter decided about, by the result.',
    unit: '{request}',
  })
  const queued = meter.createObservableUpDownCounter('ratethrottle.queued_requests', {
    description: 'Callers that wait for their turn now.',
    unit: '{request}',
  })
  const waits = new WaitBridge(
    meter.createHistogram('ratethrottle.wait.duration', {
      description: 'How long callers waited for their turn.',
      unit: 's',
      advice: { explicitBucketBoundaries: WAIT_BOUNDS },
    }),
    figures.report().times.wait,
  )
  const observe = (result: OtelResult) => {
    const report = unlessClosed(figures)
    if (report === undefined) return
    for (const [attributes, value] of results(report)) {
      result.observe(requests as never, value, attributes)
    }
    for (const [attributes, value] of waiting(report)) {
      result.observe(queued as never, value, attributes)
    }
    waits.record(report.times.wait)
  }
  const observed = [requests, queued] as never[]
  meter.addBatchObservableCallback(observe, observed)
  return () => meter.removeBatchObservableCallback(observe, observed)
}

type Measurement = readonly [attributes: Attributes, value: number]

/**
 * What limits decided, and what kept a request from being decided about, which is known by route alone. A request
 * that passes two limits has a result of each.
 */
function results(report: Report): readonly Measurement[] {
  const label = limitLabels(report)
  const counts = [
    ...report.limits.flatMap((limit) => resultsOfLimit(label(limit.name), limit)),
    ...report.routes.flatMap(({ limit, shield, failed }): readonly Count[] => [
      [label(limit), 'shield', shield],
      [label(limit), 'store_error', failed],
    ]),
  ]
  return summed(counts, ([policy, result]) => ({
    'ratethrottle.policy': policy,
    'ratethrottle.result': result,
  }))
}

type Count = readonly [policy: string, result: string, count: number]

/** A dry run lets pass what it would have denied. */
function resultsOfLimit(policy: string, counts: LimitReport): readonly Count[] {
  return [
    [policy, 'acquired', counts.admitted + counts.dry],
    [policy, 'limit', counts.denied],
    [policy, 'canceled', counts.gaveUp],
  ]
}

function waiting(report: Report): readonly Measurement[] {
  const label = capped(report.limits.map(({ name }) => name))
  const counts = report.limits.flatMap(({ name, waiting: now }): readonly Count[] =>
    now === undefined ? [] : [[label(name), '', now]],
  )
  return summed(counts, ([policy]) => ({ 'ratethrottle.policy': policy }))
}

/** A measurement replaces one with the same attributes: what has them in common is added up before. */
function summed(
  counts: readonly Count[],
  attributesOf: (count: Count) => Attributes,
): readonly Measurement[] {
  const sums = new Map<string, Measurement>()
  for (const count of counts) {
    const [policy, result, value] = count
    const id = JSON.stringify([policy, result])
    const before = sums.get(id)?.[1] ?? 0
    sums.set(id, [attributesOf(count), before + value])
  }
  return [...sums.values()]
}

/** A collection records at most this many waits, so that it takes less than some milliseconds. */
const MOST_AT_ONCE = 10_000

/**
 * OpenTelemetry has no histogram that is asked for its state: what came to ours since the last collection is
 * recorded one by one, each wait as the middle of its cell. What is too much for one collection is left to the next.
 */
class WaitBridge {
  readonly #histogram: { record(value: number): void }
  /** How many waits of each cell are recorded, by the cell's upper bound. */
  readonly #recorded = new Map<number, number>()

  /** @param before what was there before anything was observed, which is not recorded */
  constructor(histogram: { record(value: number): void }, before: Times) {
    this.#histogram = histogram
    for (const { belowMs, count } of cellsOf(before)) this.#recorded.set(belowMs, count)
  }

  record(times: Times): void {
    let left = MOST_AT_ONCE
    for (const { aboveMs, belowMs, count } of cellsOf(times)) {
      const recorded = this.#recorded.get(belowMs) ?? 0
      const due = Math.min(left, Math.max(0, count - recorded))
      const middle = Number.isFinite(belowMs) ? (aboveMs + belowMs) / 2 : aboveMs
      for (let i = 0; i < due; i++) this.#histogram.record(middle / 1000)
      this.#recorded.set(belowMs, recorded + due)
      left -= due
    }
  }
}

/** Each cell with both bounds, and how many lie in it alone. */
function cellsOf({ cells }: Times): readonly { aboveMs: number; belowMs: number; count: number }[] {
  return cells.map(({ belowMs, count }, place) => {
    const before = cells[place - 1]
    return { aboveMs: before?.belowMs ?? 0, belowMs, count: count - (before?.count ?? 0) }
  })
}
