/** A metric as a strict reader finds it in a text. */
export interface ReadFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly unit: string | undefined
  readonly samples: ReadSample[]
}

/** One line. */
export interface ReadSample {
  readonly name: string
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^\\"\n]|\\[\\"n])*)"(?:,|$)/
const ENDINGS: Readonly<Record<string, readonly string[]>> = {
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
}

/**
 * Reads the text format 0.0.4, or OpenMetrics 1.0, refusing what either forbids: a sample without TYPE, one whose
 * name does not fit its type, series that stand twice, buckets that do not grow, a text without its end.
 */
export function readMetrics(text: string, format: 'text' | 'openmetrics'): readonly ReadFamily[] {
  const lines = text.split('\n')
  if (lines.pop() !== '') throw new Error('the last line has no end')
  if (lines.pop() !== '# EOF') throw new Error('the text has no end')
  const families = new Map<string, ReadFamily>()
  let family: ReadFamily | undefined
  for (const line of lines) {
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE|UNIT) (\S+) (.+)$/.exec(line) ?? []
    if (word === 'HELP') {
      if (families.has(name)) throw new Error(`${name} stands twice`)
      family = { name, type: '', help: rest, unit: undefined, samples: [] }
      families.set(name, family)
    } else if (word !== undefined) {
      if (family?.name !== name || family.samples.length > 0)
        throw new Error(`${line} is misplaced`)
      Object.assign(family, { [word.toLowerCase()]: rest })
    } else {
      if (family === undefined) throw new Error(`no metric before ${line}`)
      family.samples.push(readSample(line))
    }
  }
  for (const read of families.values()) check(read, format)
  return [...families.values()]
}

function readSample(line: string): ReadSample {
  const [, name, inside = '', number = ''] = LINE.exec(line) ?? []
  if (name === undefined) throw new Error(`not a sample: ${line}`)
  const labels = new Map<string, string>()
  for (let rest = inside; rest !== ''; ) {
    const [whole, label, text] = LABEL.exec(rest) ?? []
    if (whole === undefined || label === undefined || text === undefined || labels.has(label)) {
      throw new Error(`bad labels: ${line}`)
    }
    labels.set(
      label,
      text.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char)),
    )
    rest = rest.slice(whole.length)
  }
  const value = Number(number.replace(/^\+Inf$/, 'Infinity'))
  if (Number.isNaN(value)) throw new Error(`not a number: ${line}`)
  return { name, labels, value }
}

function check({ name, type, help, unit, samples }: ReadFamily, format: string): void {
  const counter = format === 'text' ? [''] : ['_total']
  const endings = type === 'counter' ? counter : ENDINGS[type]
  if (endings === undefined) throw new Error(`${name} has type ${type}`)
  if (format === 'text' && (type === 'counter') !== name.endsWith('_total')) {
    throw new Error(`${name} is a ${type}`)
  }
  if (format === 'openmetrics' && name.endsWith('_total'))
    throw new Error(`${name} ends with _total`)
  if (help === '' || /["\\]/.test(help)) throw new Error(`${name}: ${help}`)
  if (unit !== undefined && !name.endsWith(`_${unit}`)) throw new Error(`${name} has unit ${unit}`)
  const seen = new Set<string>()
  for (const sample of samples) {
    if (!endings.includes(sample.name.slice(name.length)) || !sample.name.startsWith(name)) {
      throw new Error(`${sample.name} among ${name}`)
    }
    const id = JSON.stringify([sample.name, [...sample.labels].sort()])
    if (seen.has(id)) throw new Error(`${id} stands twice`)
    seen.add(id)
    if (type === 'counter' && !(sample.value >= 0)) throw new Error(`${id} is ${sample.value}`)
  }
  if (type === 'histogram') checkBuckets(name, samples)
}

function checkBuckets(name: string, samples: readonly ReadSample[]): void {
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`)
  const bounds = buckets.map(({ labels }) => labels.get('le') ?? '')
  const numbers = bounds.map((bound) => Number(bound.replace('+Inf', 'Infinity')))
  const grows = (values: readonly number[], least: number) =>
    values.every((value, i) => i === 0 || value - (values[i - 1] ?? 0) >= least)
  if (bounds.at(-1) !== '+Inf' || !grows(numbers.slice(0, -1), Number.MIN_VALUE)) {
    throw new Error(`${name} has bounds ${bounds}`)
  }
  if (!bounds.every((bound) => /^(\+Inf|\d+\.\d+|\d+(\.\d+)?e-\d+)$/.test(bound))) {
    throw new Error(`${name} has bounds that OpenMetrics does not write: ${bounds}`)
  }
  const counts = buckets.map(({ value }) => value)
  const count = samples.find((sample) => sample.name === `${name}_count`)?.value
  if (!grows(counts, 0) || counts.at(-1) !== count) throw new Error(`${name} has counts ${counts}`)
}
