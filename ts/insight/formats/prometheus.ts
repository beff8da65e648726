import { oneOf } from '../../validate.ts'
import type { Report } from '../types.ts'
import { type Family, families, type Sample } from './families.ts'

const FORMATS = ['text', 'openmetrics'] as const

/**
 * Which of the two formats of the same metrics: the text format of Prometheus, or OpenMetrics 1.0, of type
 * `application/openmetrics-text; version=1.0.0; charset=utf-8`.
 */
export type MetricsFormat = (typeof FORMATS)[number]

/** Options of `prometheus`. */
export interface MetricsOptions {
  /** Default: `'text'`, of type `text/plain; version=0.0.4`, which every Prometheus reads. */
  readonly format?: MetricsFormat | undefined
}

/**
 * The metrics of a report as text. The report must be about all the time since the insight was made: counters
 * only grow.
 */
export function prometheus(report: Report, options: MetricsOptions = {}): string {
  const format = oneOf(options.format ?? 'text', 'format', FORMATS)
  const filled = families(report).filter(({ samples }) => samples.length > 0)
  // In the text format the last line is a comment. Scrapers of OpenMetrics tell by it that nothing was cut off.
  return `${filled.map((family) => textOf(family, format)).join('')}# EOF\n`
}

/** OpenMetrics names a counter without the ending that its samples have. */
function textOf({ name, type, help, samples }: Family, format: MetricsFormat): string {
  const isOpen = format === 'openmetrics'
  const shown = isOpen && type === 'counter' ? name.replace(/_total$/, '') : name
  const unit = isOpen && name.endsWith('_seconds') ? `# UNIT ${shown} seconds\n` : ''
  const lines = samples.map((sample) => lineOf(name, sample))
  return `# HELP ${shown} ${help}\n# TYPE ${shown} ${type}\n${unit}${lines.join('')}`
}

function lineOf(name: string, { suffix, labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  const shown = pairs.length === 0 ? '' : `{${pairs.join(',')}}`
  return `${name}${suffix}${shown} ${numberOf(value)}\n`
}

function escaped(text: string): string {
  if (!/[\\"\n]/.test(text)) return text
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function numberOf(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
