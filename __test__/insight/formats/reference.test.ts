import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { toCSV } from '../../../ts/insight/formats/csv.ts'
import { HEADS } from '../../../ts/insight/formats/families.ts'
import { prometheus } from '../../../ts/insight/formats/prometheus.ts'
import { readCsv } from './csv-reader.ts'
import { readMetrics } from './metrics-reader.ts'
import { reportOf } from './reports.ts'

const PAGE = readFileSync('docs/reference/insight.md', 'utf8')

/** Rows of the page's tables whose first cell is a name that begins so: the name, and the texts in its second cell. */
function rowsOf(prefix: string): readonly (readonly [name: string, texts: string])[] {
  const rows = PAGE.matchAll(/^\| `([^`]+)` \|([^|]*)\|/gm)
  return [...rows].flatMap(([, name = '', cell = '']) => {
    const texts = [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text)
    return name.startsWith(prefix) ? [[name, texts.join(' ')] as const] : []
  })
}

it('the reference names every metric with its labels, and no other', () => {
  const read = readMetrics(prometheus(reportOf(['api'])), 'text')
  expect(read.map(({ name }) => name)).toEqual(HEADS.map(({ name }) => name))
  const labels = read.map(({ name, samples }) => {
    const own = [...(samples[0]?.labels.keys() ?? [])].filter((label) => label !== 'le')
    return [name, own.join(' ')] as const
  })
  expect(new Map(rowsOf('ratethrottle_'))).toEqual(new Map(labels))
})

it('the reference names every part and column of the CSV', () => {
  const [head = [], ...rows] = readCsv(toCSV(reportOf(['api'])))
  const [, parts = ''] = /^\| `part` \|(.*)\|$/m.exec(PAGE) ?? []
  const named = [...parts.matchAll(/`([^`]+)`/g)].map(([, part]) => part)
  expect(named.sort()).toEqual([...new Set(rows.map(([part]) => part))].sort())
  for (const column of head) expect(PAGE).toContain(`\`${column}\``)
})

it('the reference names every instrument and result of OpenTelemetry', () => {
  const source = readFileSync('ts/insight/open-telemetry.ts', 'utf8')
  const instruments = [...source.matchAll(/'(ratethrottle\.[a-z_.]+)'/g)].map(
    ([, name = '']) => name,
  )
  expect(instruments.length).toBeGreaterThan(4)
  for (const name of instruments) expect(PAGE).toContain(`\`${name}\``)
  for (const result of ['acquired', 'limit', 'canceled', 'shield', 'store_error']) {
    expect(PAGE).toContain(`| \`${result}\` |`)
    expect(source).toContain(`'${result}'`)
  }
})
