// Writes the tables of one call in README.md and docs/internals/benchmarks.md, from the newest record that has
// all their cases: node bench/figures.mjs [--check]. With --check it writes nothing and names what differs.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const ROOT = new URL('../', import.meta.url)
const OURS = 'ratethrottle.allow'

const COLUMNS = [
  [OURS, '`allow`'],
  ['ratethrottle.check', '`check`'],
  ['map-fixed', 'fixed-window `Map`'],
  ['map-sliding', 'sliding-window `Map`'],
  ['map-token', 'token-bucket `Map`'],
  ['@fastify/rate-limit', '@fastify/rate-limit'],
  ['express-rate-limit', 'express-rate-limit'],
  ['rate-limiter-flexible', 'rate-limiter-flexible'],
]

const USUAL = [
  ['idle-one-stored', 'one'],
  ['idle-pair-stored', 'two, in turn'],
  ['idle-10k-stored', '10,000'],
  ['idle-10k-fresh', '10,000 \\*'],
  ['idle-1m-stored', '1,000,000'],
  ['mixed-stored', 'a mix of 100,000, a tenth refused'],
  ['mixed-fresh', 'the mix \\*'],
]
const IN_DEBT = [
  ['hot-stored', 'one'],
  ['pair-stored', 'two, in turn'],
  ['10k-stored', '10,000'],
  ['10k-fresh', '10,000 \\*'],
  ['1m-stored', '1,000,000'],
  ['1m-fresh', '1,000,000 \\*'],
].flatMap(([name, words]) => [
  [`${name}-admit`, `${words}, in debt`],
  [`${name}-deny`, `${words}, refused`],
])

const PAGES = [
  {
    path: 'README.md',
    folder: '',
    cases: USUAL,
    hidden: ['map-token'],
    words: `These callers owe nothing when they call: what their last call took has been repaid, as it is for most callers of a service. In the mix a
few busy callers have part of their calls refused, and the others none. [Callers in debt, HTTP, Redis, threads and memory](docs/internals/benchmarks.md).`,
  },
  {
    path: 'docs/internals/benchmarks.md',
    folder: '../../',
    cases: [...USUAL, ...IN_DEBT],
    hidden: [],
    words: `Callers of the first rows owe nothing when they call, but for a few of the mix. Those in debt are admitted, and those refused have used up
their limit. The page of the bench in a checkout says how each case is made.`,
  },
]

const isCheck = process.argv.includes('--check')
const record = newestRecord()
if (record !== undefined) compare()
else if (!isCheck) throw new Error('no record has all cases of suite local')

function compare() {
  for (const page of PAGES) update(page)
  if (readText('bench/record/latest.svg') === readText(record.path.replace(/md$/, 'svg'))) return
  console.log(`bench/record/latest.svg is not the chart of ${record.path}`)
}

function readText(path) {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

/** What stands between a page's two comments is written again. */
function update(page) {
  const text = readText(page.path)
  const block = /(<!-- figures of one call -->\n).*?(<!-- end of the figures -->)/s
  const next = text.replace(block, (_, start, end) => start + figures(page) + end)
  if (!block.test(text)) console.log(`${page.path} has no place for the figures`)
  else if (next === text) return
  else if (isCheck) console.log(`${page.path}: node bench/figures.mjs has other figures`)
  else writeFileSync(new URL(page.path, ROOT), next)
}

function figures({ folder, cases, hidden, words }) {
  const source = `[a record](${folder}${record.path}) of Node ${record.node} on ${record.cpu}`
  return `Nanoseconds of one call, from ${source}; \`npm run bench -- local\` repeats it:

${tableOf(cases, hidden)}

\\* The program makes the text of the key for each call; in the other rows it is there before.

![One call in nanoseconds, for each limiter and number of callers](${folder}bench/record/latest.svg)

${words}

Where ratethrottle loses, and the fastest there: ${lossesOf(cases)}
`
}

/** In bold, the fastest of a row. */
function tableOf(cases, hidden) {
  const columns = COLUMNS.filter(([subject]) => !hidden.includes(subject))
  const line = (cells) => `| ${cells.join(' | ')} |`
  const rows = cases.map(([name, words]) => {
    const nanos = columns.map(([subject]) => record.nanos(name, subject))
    const best = Math.min(...nanos)
    return [words, ...nanos.map((value) => (value === best ? `**${shown(value)}**` : shown(value)))]
  })
  const head = ['callers', ...columns.map(([, words]) => words)]
  return [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
    .map(line)
    .join('\n')
}

function lossesOf(cases) {
  return [OURS, 'ratethrottle.check'].map((own) => lossOf(own, cases)).join(' ')
}

function lossOf(own, cases) {
  const lost = cases.flatMap(([name, words]) => {
    const [rival, nanos] = fastestRival(name)
    return nanos < record.nanos(name, own) ? [`${words} (${rival}, ${shown(nanos)})`] : []
  })
  return `\`${own.split('.')[1]}\` with ${lost.length === 0 ? 'none of these' : lost.join('; ')}.`
}

function fastestRival(name) {
  return COLUMNS.filter(([subject]) => !subject.startsWith('ratethrottle'))
    .map(([subject, words]) => [words, record.nanos(name, subject)])
    .reduce((best, rival) => (rival[1] < best[1] ? rival : best))
}

function newestRecord() {
  const folder = new URL('bench/record/', ROOT)
  const needed = [...USUAL, ...IN_DEBT].map(([name]) => `### local ${name}\n`)
  const pages = readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') }))
    .filter(({ text }) => needed.every((title) => text.includes(title)))
  if (pages.length === 0) return undefined
  const { name, text } = pages.sort((a, b) => (a.name < b.name ? -1 : 1)).at(-1)
  return readRecord(`bench/record/${name}`, text)
}

function readRecord(path, text) {
  const [, cpu, node] = /^# \S+: (.*), Node v(\S+)$/m.exec(text)
  const tables = new Map(text.split('### local ').map((part) => [part.split('\n')[0], part]))
  const nanos = (name, subject) => {
    const row = tables
      .get(name)
      .split('\n')
      .find((found) => found.startsWith(`| ${subject} |`))
    return Number(row.split('|')[2])
  }
  return { path, cpu, node, nanos }
}

function shown(nanos) {
  return Math.round(nanos).toLocaleString('en')
}
