import { expect, it } from 'vitest'
import { toCSV } from '../../../ts/insight/formats/csv.ts'
import { randomFor } from '../../fixtures/random.ts'
import { isFormula, readCsv, written } from './csv-reader.ts'
import { HOSTILE, limit, report, reportOf } from './reports.ts'

const COLUMNS = ['part', 'limit', 'route', 'policy', 'key', 'figure', 'value']

it('has the same columns whatever there is to show', () => {
  const [head] = readCsv(toCSV(report()))
  expect(head).toEqual(COLUMNS)
  for (const names of [[], ['api'], HOSTILE]) {
    expect(readCsv(toCSV(reportOf(names)))[0]).toEqual(COLUMNS)
  }
})

it('gives each figure a row', () => {
  const rows = readCsv(toCSV(reportOf(['api']))).map((cells) => cells.join('|'))
  expect(rows).toEqual(
    expect.arrayContaining([
      'report|||||version|1',
      'report|||||at|2026-11-30T12:34:56.000Z',
      'report|||||configStale|true',
      'total|||||denied|12',
      'limit|api||||gaveUp|6',
      'limit|api||||tier|memory',
      'policy|api||api||denied|7',
      'policy|api||api2||denied|5',
      'route|api|api|||shield|7',
      'top asked|api|||api|count|20',
      'top denied|api|||api|error|2',
      'wait time|||||count|6',
      'shield|api||||newcomerShare|0.25',
      'source|api|||203.0.113.xxx|blockedMs|60000',
      'store|api||||available|false',
    ]),
  )
})

it('leaves empty what is not known', () => {
  const unknown = limit('api', { liveKeys: undefined, evictions: undefined, tier: undefined })
  const rows = readCsv(toCSV(report({ limits: [unknown] }))).map((cells) => cells.join('|'))
  expect(rows).toContain('limit|api||||liveKeys|')
  expect(rows).toContain('limit|api||||tier|')
  expect(rows).toContain('report|||||sinceMs|')
})

/** The keys of the table of those that were denied, as a strict reader finds them. */
const keysIn = (csv: string) =>
  readCsv(csv)
    .filter(([part, , , , , figure]) => part === 'top denied' && figure === 'count')
    .map(([, , , , key = '']) => key)

it('comes back from a strict reader as it was, hostile names included', () => {
  const csv = toCSV(reportOf(HOSTILE))
  expect(keysIn(csv).map(written)).toEqual(HOSTILE)
  const routes = readCsv(csv).filter(
    ([part, , , , , figure]) => part === 'route' && figure === 'dry',
  )
  expect(routes.map(([, , route = '']) => written(route))).toEqual(HOSTILE)
})

it('has no formula: not at the start of a cell, nor after what another program separates by', () => {
  for (const cell of readCsv(toCSV(reportOf(HOSTILE))).flat()) {
    if (!Number.isNaN(Number(cell)) && cell.trim() !== '') continue
    for (const piece of [cell, ...cell.split(/[;,|\t\r\n]/)]) expect(isFormula(piece)).toBe(false)
  }
})

it('holds for 20,000 names of hostile letters', () => {
  const random = randomFor('csv')
  const letters = [...'=+-@\t\r\n \'";,|a1\u00a0\ufeff\u200b\uff1d\uff20']
  const word = () =>
    Array.from({ length: random.integer(0, 8) }, () => random.pick(letters)).join('')
  const names = Array.from({ length: 20_000 }, word)
  const denied = names.map((key) => ({ key, limit: 'api', count: 1, error: 0 }))
  const keys = keysIn(toCSV(report({ top: { asked: [], denied } })))
  expect(keys.map(written)).toEqual(names)
  const pieces = keys.flatMap((cell) => [cell, ...cell.split(/[;,|\t\r\n]/)])
  expect(pieces.filter(isFormula)).toEqual([])
})

it('is judged by a reader that finds what is wrong', () => {
  const wrong = ['a,b\r\n1\r\n', 'a\n', 'a"b\r\n', '"a\r\n', '"a"b\r\n', 'a\r\nb']
  for (const text of wrong) expect(() => readCsv(text), text).toThrow()
  for (const text of ['=1', ' "=1', '\t', '\n=1', '\ufeff+1', '\uff1d1', '@x', '-1'])
    expect(isFormula(text), text).toBe(true)
  for (const text of ['', 'api', '1=1', "'=1"]) expect(isFormula(text), text).toBe(false)
})
