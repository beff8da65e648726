import type { IncomingMessage } from 'node:http'
import { openControl } from '../control/server.ts'
import type {
  ConfigStatus,
  CountedLimiter,
  CountedShield,
  InsightInput,
  LimitCounter,
  Served,
} from '../counting.ts'
import { closedError } from '../errors.ts'
import { readDuration } from '../limit/parse.ts'
import { type NativeInsight, openInsight, openWatched } from '../native/binding.ts'
import { invalid, ownOptions } from '../validate.ts'
import { Counter } from './counter.ts'
import { toCSV } from './formats/csv.ts'
import { toHTML } from './formats/html.ts'
import { toJSON } from './formats/json.ts'
import { type MetricsOptions, prometheus } from './formats/prometheus.ts'
import { type MetricRegistry, register } from './formats/register.ts'
import { type Hosts, type OwnFigures, openHosts } from './hosts.ts'
import { type OtelMeter, openTelemetry } from './open-telemetry.ts'
import { type InsightOptions, type ResolvedInsightOptions, readInsightOptions } from './options.ts'
import { type InsightPage, insightPage, type PageOptions } from './page/index.ts'
import { makeReport } from './report.ts'
import { Rows } from './rows.ts'
import { readSeries, STEPS } from './series.ts'
import { ShieldList } from './shields.ts'
import type { Controls, Figures, Report, Series, SeriesUnit } from './types.ts'

/** Of what time a report is: such as `'1 hour'`, or milliseconds. Default: since the insight was made. */
export interface ReportOptions {
  readonly since?: string | number | undefined
}

const FLUSH_MS = 1_000
const SUBJECT = { noun: 'insight', settings: 'keys or top' }

/**
 * Sees what limiters do: how often they admit and deny, by which limit, on which route, and which keys.
 *
 * Give it to limiters and adapters as option `insight`; ask it for a {@link report}.
 */
export class Insight implements InsightInput, Figures, Controls {
  readonly #options: ResolvedInsightOptions
  readonly #native: NativeInsight
  readonly #rows: Rows
  readonly #shields: ShieldList
  readonly #hosts: Hosts | undefined
  readonly #close: () => void
  #isClosed = false
  #config: (() => ConfigStatus) | undefined

  /** @throws TypeError or RangeError that names the option, its value and what is accepted */
  constructor(options: InsightOptions = {}) {
    const resolved = readInsightOptions(options)
    const { keys, top, clock } = resolved
    const watched = openWatched(
      openInsight,
      { keys, top, hasClock: clock !== undefined },
      { ...resolved, subject: SUBJECT },
      () => this,
      () => this.#renew(),
    )
    this.#options = resolved
    this.#native = watched.native
    this.#rows = new Rows(watched.native)
    this.#shields = new ShieldList((source) => this.#nameOf(source))
    const timer = clock === undefined ? flushSoon(this) : undefined
    this.#hosts = resolved.storage === undefined ? undefined : openHosts(resolved, ownOf(this))
    const { alerts } = resolved
    alerts?.watch(this.own, { storage: resolved.shared ? `shared:${resolved.name}` : undefined })
    const { control, shared, name } = resolved
    const socket = control && openControl(this, control, shared ? name : undefined)
    this.#close = () => {
      socket?.close()
      clearInterval(timer)
      alerts?.close()
      this.flush()
      this.#hosts?.close()
      watched.close()
    }
  }

  /** For limiters: where one counts. */
  counter(about: CountedLimiter): LimitCounter {
    this.#checkOpen()
    return new Counter(about, this.#rows.of(about.name))
  }

  /** For adapters: a shield that stands before limits. */
  shielded(name: string, shield: CountedShield): void {
    this.#shields.add(name, shield)
  }

  /** For configuration files: their state. */
  configured(state: () => ConfigStatus): void {
    this.#config = state
  }

  /**
   * What is known now, or of the last time. With option `storage` what it says about a time is about all hosts, as far as
   * it is counted by time: the others are this host's.
   */
  report(options: ReportOptions = {}): Report {
    const { since } = ownOptions(options, ['since'])
    const sinceMs = since === undefined ? undefined : readDuration(since, 'since')
    const own = this.#report(sinceMs)
    return sinceMs === undefined ? own : (this.#hosts?.others.addTo(own, sinceMs) ?? own)
  }

  #report(sinceMs: number | undefined): Report {
    this.flush()
    return makeReport({
      native: this.#native,
      clock: this.#options.clock,
      sinceMs,
      rows: this.#rows,
      shields: this.#shields.reports(),
      config: this.#config?.(),
    })
  }

  /** Each limit over time. With option `storage` minutes and hours are about all hosts. */
  series(options: Parameters<Figures['series']>[0]): readonly Series[] {
    const { unit, steps = 60 } = ownOptions(options, ['unit', 'steps'])
    const count = readSteps(steps, STEPS[readUnit(unit)].most)
    const own = this.#series(unit, count)
    if (this.#hosts === undefined || unit === 'second') return own
    return this.#hosts.others.addToSeries(own, unit, count)
  }

  #series(unit: SeriesUnit, count: number): readonly Series[] {
    this.flush()
    return readSeries(this.#native, this.#options.clock, unit, count)
  }

  /** For this package's own use: the figures of this host alone. */
  get own(): Figures {
    return {
      report: ({ since } = {}) =>
        this.#report(since === undefined ? undefined : readDuration(since, 'since')),
      series: ({ unit, steps = 60 }) => {
        return this.#series(unit, Math.max(1, Math.min(Math.floor(steps), STEPS[unit].most)))
      },
    }
  }

  /** The report, for `JSON.stringify`. */
  toJSON(): object {
    // Loggers print what they are given, also later.
    return this.#isClosed ? { closed: true } : toJSON(this.report())
  }

  /** The report as a table for spreadsheets. No cell is a formula. */
  toCSV(options: ReportOptions = {}): string {
    return toCSV(this.report(options))
  }

  /** The report as one page without scripts, with the last hour as charts. */
  toHTML(options: ReportOptions = {}): string {
    return toHTML(this.report(options), this.series({ unit: 'minute' }))
  }

  /** Metrics as Prometheus reads them. Needs no prom-client; if you have it, see {@link register}. */
  prometheus(options: MetricsOptions = {}): string {
    return prometheus(this.report(), options)
  }

  /**
   * Adds the metrics to a registry of prom-client.
   *
   * @returns removes them
   */
  register(registry: MetricRegistry): () => void {
    return register(this, registry)
  }

  /**
   * Observes the counts with a meter of OpenTelemetry.
   *
   * @returns ends that
   */
  openTelemetry(meter: OtelMeter): () => void {
    return openTelemetry(this, meter)
  }

  /**
   * A page that shows all of this, live: middleware of Express, a listener of `node:http`, and with `fastify` and
   * `fetch` for Fastify and Hono. Without `authorize` it answers 404.
   */
  page<Request = IncomingMessage>(options: PageOptions<Request> = {}): InsightPage<Request> {
    return insightPage(this, options)
  }

  /** Ends a block by a shield. Takes an address, or a source as a report shows it. */
  pardon(ip: string): boolean {
    return this.#shields.pardon(ip)
  }

  /** Has every shield block an address, for `ms` milliseconds. */
  blockSource(ip: string, ms: number): boolean {
    return this.#shields.block(ip, ms)
  }

  /** The limiters that the program still uses, by name. */
  limiters(): ReadonlyMap<string, Served> {
    const found = [...this.#rows].map(
      ([name, { newest }]) => [name, newest?.open?.limiter] as const,
    )
    return new Map(found.filter((one): one is [string, Served] => one[1] !== undefined))
  }

  /** How a key is shown in reports. */
  keyName(key: string): string {
    return this.#native.key_name(key)
  }

  /** Adds what was counted in TypeScript to the sums. A timer does it once a second. */
  flush(): void {
    this.#checkOpen()
    const { clock } = this.#options
    if (clock === undefined) this.#native.flush('', 0)
    else this.#native.flush('', 0, clock.now())
  }

  /** Stops counting. Limiters that count in it go on without. */
  close(): void {
    if (this.#isClosed) return
    this.#close()
    this.#isClosed = true
    this.#rows.end()
  }

  /** Processes that count in it and are alive. */
  get processes(): number {
    this.#native.state()
    return this.#native.wide[0] ?? 1
  }

  #checkOpen(): void {
    if (this.#isClosed) throw closedError('the insight is closed; make a new one')
  }

  #nameOf(source: string): string {
    return this.#options.keys === 'plain' ? source : this.keyName(source)
  }

  /** The file that processes share is another. */
  #renew(): void {
    this.#rows.renew()
  }
}

function readUnit(unit: unknown): SeriesUnit {
  if (typeof unit === 'string' && Object.hasOwn(STEPS, unit)) return unit as SeriesUnit
  throw invalid('string', 'INVALID_ARGUMENT', 'unit', 'second, minute or hour', unit)
}

function readSteps(steps: unknown, most: number): number {
  if (typeof steps === 'number' && steps >= 1) return Math.min(Math.floor(steps), most)
  throw invalid('number', 'INVALID_ARGUMENT', 'steps', 'a number from 1', steps)
}

/** What other hosts are told. Does not keep the insight alive. */
function ownOf(insight: Insight): OwnFigures {
  const weak = new WeakRef(insight)
  return {
    series: (options) => weak.deref()?.own.series(options) ?? [],
    processes: () => weak.deref()?.processes ?? 0,
    isUsed: () => weak.deref() !== undefined,
  }
}

/** Keeps neither the process nor the insight alive. */
function flushSoon(insight: Insight): NodeJS.Timeout {
  const weak = new WeakRef(insight)
  const timer = setInterval(() => {
    const found = weak.deref()
    if (found === undefined) clearInterval(timer)
    else found.flush()
  }, FLUSH_MS)
  return timer.unref()
}
