// Writes the table of docs/concepts/shield.md from the newest record of the attack range that has every scenario:
// node bench/shield/figures.mjs [--check] [a record]. With --check it writes nothing and names what differs.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { SCENARIOS } from './scenarios.mjs'

const ROOT = new URL('../../', import.meta.url)
const PAGE = 'docs/concepts/shield.md'
const BLOCK = /(<!-- figures of the attack range -->\n).*?(<!-- end of the figures -->)/s

const COLUMNS = [
  ['detected', 'detected, s'],
  ['attack refused', 'attack refused, %'],
  ["regulars' pages", "regulars' pages whole, %"],
  ["newcomers' pages", "newcomers' pages whole, %"],
  ['after the first minute', 'the same after the first minute, %'],
  ['people blocked', 'people blocked'],
]
/** What stands in the last columns: what is lost without a shield. */
const WITHOUT = [COLUMNS[2], COLUMNS[3]]

const words = process.argv.slice(2)
const isCheck = words.includes('--check')
const path = words.find((word) => word !== '--check') ?? newestRecord()
if (path !== undefined) update(path)
else if (!isCheck) throw new Error('no record in bench/record has every scenario')

function update(record) {
  const page = readText(PAGE)
  const next = page.replace(BLOCK, (_, start, end) => start + figures(record) + end)
  if (next === page) return
  if (isCheck) console.log(`${PAGE}: node bench/shield/figures.mjs has other figures`)
  else writeFileSync(new URL(PAGE, ROOT), next)
}

function readText(name) {
  return readFileSync(new URL(name, ROOT), 'utf8')
}

function newestRecord() {
  const names = readdirSync(new URL('bench/record/', ROOT)).filter((name) =>
    name.endsWith('-range.md'),
  )
  const paths = names
    .sort()
    .reverse()
    .map((name) => `bench/record/${name}`)
  return paths.find((name) => attacks().every((scenario) => tableOf(readText(name), scenario)))
}

/** A benign day has no attack. */
function attacks() {
  return Object.keys(SCENARIOS).filter((name) => name !== 'day')
}

function figures(record) {
  const text = readText(record)
  const line = (cells) => `| ${cells.join(' | ')} |`
  const without = WITHOUT.map(([title]) => `${title} without`)
  const head = ['', ...COLUMNS.map(([title]) => title), ...without, 'goals']
  const rows = attacks().map((scenario) => line(rowOf(scenario, tableOf(text, scenario))))
  return `${intro(record, text)}

${[line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows].join('\n')}
${picture(record)}
${missed(text)}
`
}

function intro(record, text) {
  const [, seeds] = /ratethrottle shield (\d+)/.exec(text) ?? []
  return `Median of ${seeds} seeds, and the worst of them in brackets, from [a record](../../${record}); in a checkout \`npm run range\` repeats
it. The service serves 1,000 requests a second, people send about 230, and the attack lasts three minutes. "Whole" are pages, in percent,
that came without one request refused or lost. "Without" is the same without a shield. The last column is how many goals are reached.`
}

function picture(record) {
  const svg = record.replace(/md$/, 'svg')
  if (!existsSync(new URL(svg, ROOT))) return ''
  return `\n![Regulars' pages that come whole, for each attack and each contender](../../${svg})\n`
}

function rowOf(scenario, { rows, says }) {
  const cell = (row, column) => row?.[column] || '–'
  const ours = COLUMNS.map(([, title]) => cell(rows.get(title), 0))
  const nothing = WITHOUT.map(([, title]) => cell(rows.get(title), 1))
  const verdicts = [...rows.values()].map((row) => row.at(-1)).filter((verdict) => verdict !== '')
  const reached = verdicts.filter((verdict) => verdict === 'reached').length
  return [`${scenario} ${says}`, ...ours, ...nothing, `${reached} of ${verdicts.length}`]
}

/** The rows of a scenario's table by their titles: first our figure, then that of nothing. */
function tableOf(text, scenario) {
  const start = text.indexOf(`### ${scenario}: `)
  if (start === -1) return undefined
  const [title, ...lines] = text
    .slice(start)
    .split(/\n(?=### )/)[0]
    .trim()
    .split('\n')
  const cells = lines
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
  const rows = new Map(cells.slice(2).map(([name, ...row]) => [name, row]))
  return { says: title.slice(title.indexOf(':') + 2), rows }
}

/** What the record lists of goals that are not reached. */
function missed(text) {
  const [, list = ''] = /## Goals not reached\n\n(.*?)\n(?=\n|###)/s.exec(text) ?? []
  if (list === '- none' || list === '') return 'Every goal is reached.'
  return `Goals that are not reached:\n\n${list}`
}
