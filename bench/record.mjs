import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { toChart } from './chart.mjs'
import { toMarkdown } from './table.mjs'

const REDIS_RIVALS = ['rate-limiter-flexible', 'rate-limit-redis', '@fastify/rate-limit']
const FOLDER = new URL('./record/', import.meta.url)
const RIVALS = [
  'rate-limiter-flexible',
  'express-rate-limit',
  '@fastify/rate-limit',
  'fastify',
  'express',
  'ioredis',
  'rate-limit-redis',
  'benchmark',
]

/**
 * Who is compared with whom, and by which field of a row. Less is better, but where `isMore` says otherwise.
 * Without `rivals` all other subjects of the case are rivals.
 */
const CONTESTS = [
  { suite: 'local', ours: 'ratethrottle.allow', field: 'nsPerOp', unit: 'ns' },
  { suite: 'memory', ours: 'ratethrottle', field: 'bytesPerKey', unit: 'bytes per key' },
  { suite: 'http', ours: 'ratethrottle', field: 'addedUsPerReq', unit: 'µs added per request' },
  {
    suite: 'instructions',
    ours: 'ratethrottle',
    field: 'addedPerReq',
    unit: 'instructions added per request',
  },
  ...[
    { field: 'opsPerSec', unit: 'calls/s', isMore: true },
    { field: 'p99Us', unit: 'µs at the 99th percentile' },
  ].map((by) => ({ suite: 'redis', ours: 'ratethrottle', rivals: REDIS_RIVALS, ...by })),
  { suite: 'refusals', ours: 'ratethrottle.allow', field: 'nsPerOp', unit: 'ns' },
  { suite: 'refusals', ours: 'ratethrottle', field: 'cpuUsPerReq', unit: 'µs per refusal' },
  ...[
    ['ratethrottle', 'rate-limiter-flexible'],
    ['ratethrottle/fastify', '@fastify/rate-limit'],
    ['ratethrottle/express', 'express-rate-limit'],
  ].map(([ours, rival]) => ({ suite: 'start', ours, rivals: [rival], field: 'ms', unit: 'ms' })),
  { suite: 'start', ours: 'ratethrottle', field: 'bytes', unit: 'bytes installed' },
]
/** What is written by hand or does nothing is no limiter, and some subjects are ours too. */
const NO_RIVALS = ['noop', 'plain', 'bare', 'ratethrottle.check', 'ratethrottle.baseline']

/** Writes a dated page and its chart to bench/record/; answers with the page's name. */
export function writeRecord({ rows, tables, command }) {
  mkdirSync(FOLDER, { recursive: true })
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${slug(cpus()[0].model)}-node${command.nodeVersion.split('.')[0].slice(1)}`
  const name = `${date}-${machine}${suitesOf(command)}`
  const page = [
    `# ${date}: ${cpus()[0].model}, Node ${command.nodeVersion}\n`,
    header(command),
    ...(rows.some(isLocal) ? [`![nanoseconds per call](${name}.svg)\n`] : []),
    whereWeLose(rows),
    ...tables.map(toMarkdown),
  ]
  writeFileSync(new URL(`${name}.md`, FOLDER), `${page.join('\n').trim()}\n`)
  if (rows.some(isLocal)) drawChart(name, rows, command)
  return `bench/record/${name}.md`
}

/** Part of the suites has a page of its own: it does not replace that of a whole run of the same day. */
function suitesOf({ plans, suites }) {
  return plans.length === suites ? '' : `-${plans.map(({ suite }) => suite.name).join('-')}`
}

/** The README shows `latest.svg`: only a whole `local` suite may replace it. */
function drawChart(name, rows, { nodeVersion, plans }) {
  const chart = new URL(`${name}.svg`, FOLDER)
  writeFileSync(
    chart,
    toChart(rows, { nodeVersion, cpu: `${cpus()[0].model}, ${cpus().length} cores` }),
  )
  const { suite, cases } = plans.find((plan) => plan.suite.name === 'local')
  const all = Object.values(suite.cases)
  const isWhole = cases.flatMap(({ subjects }) => subjects).length >= all.flat().length
  if (isWhole) copyFileSync(chart, new URL('latest.svg', FOLDER))
}

const isLocal = (row) => row.suite === 'local'

function header({ nodeVersion, plans }) {
  const lines = [
    `CPU: ${cpus()[0].model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB; ${type()} ${release()}`,
    `Node ${nodeVersion}; ${rustVersion()}`,
    RIVALS.map((rival) => `${rival} ${versionOf(rival)}`).join(', '),
    ...plans.map(
      ({ suite, rounds, cases }) => `suite ${suite.name}: ${cases.length} cases, ${rounds} rounds`,
    ),
    `\`npm run bench -- ${wordsOf(process.argv.slice(2))}\``,
    'Medians of interleaved rounds, each subject in a process of its own. Ratios within one table only.',
  ]
  return `${lines.map((line) => `- ${line}`).join('\n')}\n`
}

/** Every case in which somebody was better than we are. */
function whereWeLose(rows) {
  const lost = CONTESTS.flatMap((contest) =>
    rows
      .filter((row) => row.suite === contest.suite && row.subject === contest.ours)
      .flatMap((own) =>
        rows.filter((row) => beats(row, own, contest)).map((row) => loss(row, own, contest)),
      ),
  )
  return `## Where we lose\n\n${lost.length === 0 ? '- in no case of this run' : lost.join('\n')}\n`
}

function beats(row, own, { field, rivals, isMore = false }) {
  if (row.suite !== own.suite || row.case !== own.case) return false
  const isRival = rivals?.includes(row.subject) ?? !NO_RIVALS.includes(row.subject)
  return isRival && (isMore ? row[field] > own[field] : row[field] < own[field])
}

const loss = (row, own, { field, unit }) =>
  `- ${row.case}: ${row.subject} ${row[field]} ${unit}, ${own.subject} ${own[field]}`

const slug = (text) =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

/** The command as given, but for paths: they are this machine's own business. */
const wordsOf = (words) =>
  words
    .join(' ')
    .replace(/--node[ =]\S+/, '--node PATH')
    .replace(/--tree[ =]\S+/, '--tree DIR')

/** From the file, since not every package exports it. */
function versionOf(name) {
  const path = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')).version
}

function rustVersion() {
  try {
    return execFileSync('rustc', ['--version'], { encoding: 'utf8' }).split(' (')[0]
  } catch {
    return 'rustc unknown'
  }
}
