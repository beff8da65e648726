import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { toChart } from './chart.mjs'
import { toMarkdown } from './table.mjs'

const FOLDER = new URL('./record/', import.meta.url)
const RIVALS = [
  'rate-limiter-flexible',
  'express-rate-limit',
  '@fastify/rate-limit',
  'fastify',
  'benchmark',
]

/** Writes a dated page and its chart to bench/record/; answers with the page's name. */
export function writeRecord({ rows, tables, command }) {
  mkdirSync(FOLDER, { recursive: true })
  const date = new Date().toISOString().slice(0, 10)
  const name = `${date}-${slug(cpus()[0].model)}-node${command.nodeVersion.split('.')[0].slice(1)}`
  const page = [
    `# ${date}: ${cpus()[0].model}, Node ${command.nodeVersion}\n`,
    header(command),
    `![nanoseconds per call](${name}.svg)\n`,
    whereWeLose(rows),
    ...tables.map(toMarkdown),
  ]
  writeFileSync(new URL(`${name}.md`, FOLDER), `${page.join('\n').trim()}\n`)
  writeFileSync(new URL(`${name}.svg`, FOLDER), toChart(rows, command.nodeVersion))
  copyFileSync(new URL(`${name}.svg`, FOLDER), new URL('latest.svg', FOLDER))
  return `bench/record/${name}.md`
}

function header({ nodeVersion, plans }) {
  const lines = [
    `CPU: ${cpus()[0].model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB; ${type()} ${release()}`,
    `Node ${nodeVersion}; ${rustVersion()}`,
    RIVALS.map((rival) => `${rival} ${versionOf(rival)}`).join(', '),
    ...plans.map(
      ({ suite, rounds, cases }) => `suite ${suite.name}: ${cases.length} cases, ${rounds} rounds`,
    ),
    'Medians of interleaved rounds, each subject in a process of its own. Ratios within one table only.',
  ]
  return `${lines.map((line) => `- ${line}`).join('\n')}\n`
}

/** Every case in which somebody was faster than `allow`. */
function whereWeLose(rows) {
  const ours = rows.filter((row) => row.subject === 'ratethrottle.allow' && row.suite === 'local')
  const lost = ours.flatMap((own) =>
    rows
      .filter((row) => row.case === own.case && row.suite === 'local')
      .filter((row) => row.nsPerOp < own.nsPerOp && row.subject !== 'noop')
      .map(
        (row) => `- ${own.case}: ${row.subject} takes ${row.nsPerOp} ns, allow ${own.nsPerOp} ns`,
      ),
  )
  return `## Where we lose\n\n${lost.length === 0 ? '- in no case of this run' : lost.join('\n')}\n`
}

const slug = (text) =>
  text
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')

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
