import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const FLAGS = {
  json: { type: 'boolean', default: false },
  case: { type: 'string' },
  subject: { type: 'string' },
  rounds: { type: 'string' },
  node: { type: 'string' },
  tree: { type: 'string' },
  requests: { type: 'string' },
  record: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

/** A mistake in the command line: told in one line, without a stack. */
export class CommandError extends Error {}

export function readCommand(words, suites) {
  const { values, positionals } = parse(words)
  const usual = suites.filter(({ onlyByName }) => !onlyByName)
  const picked = positionals.length === 0 ? usual : named('suite', positionals, suites)
  const node = values.node ?? process.execPath
  const rounds = readCount('rounds', values.rounds, 9999)
  const requests = readCount('requests', values.requests, 1_000_000)
  const tree = values.tree === undefined ? undefined : readTree(values.tree)
  const filter = { cases: split(values.case), subjects: split(values.subject) }
  assertKnown(
    'case',
    filter.cases,
    picked.flatMap(({ cases }) => Object.keys(cases)),
  )
  assertKnown('subject', filter.subjects, picked.flatMap(subjectsOf))
  assertTaken({ tree, requests }, picked, suites)
  const plans = picked.map((suite) => toPlan(suite, filter, { rounds, requests, node, tree }))
  const { json, record, help } = values
  return {
    json,
    record,
    help,
    nodeVersion: askVersion(node),
    plans: keepRunnable(plans),
    suites: usual.length,
  }
}

export function helpText(suites) {
  const lines = suites.map((suite) => {
    const extra = (suite.extraSubjects ?? []).map((name) => `(${name})`)
    const subjects = [...new Set(Object.values(suite.cases).flat()), ...extra]
    return `${suite.name}, ${suite.rounds} rounds
  cases     ${Object.keys(suite.cases).join(' ')}
  subjects  ${subjects.join(' ')}`
  })
  return `npm run --silent bench -- [suite …] [flags]

  --json         one JSON line per (suite, case, subject) instead of tables
  --case a,b     only these cases
  --subject a,b  only these subjects (those in brackets run only when named here)
  --rounds N     rounds per case; an odd number gives a real median
  --node PATH    the Node that runs the subjects
  --tree DIR     instructions, start: also run ratethrottle as built in that checkout
  --requests N   instructions: requests in each round
  --record       also write the results to bench/record/
  --help         this text

No suite named: all but instructions, which takes a quarter of an hour.

${lines.join('\n')}`
}

function parse(words) {
  try {
    return parseArgs({ args: words, options: FLAGS, allowPositionals: true })
  } catch (error) {
    const flags = Object.keys(FLAGS).map((name) => `--${name}`)
    throw new CommandError(`${error.message.split('. ')[0]}; flags are ${flags.join(', ')}`)
  }
}

function named(kind, names, things) {
  assertKnown(
    kind,
    names,
    things.map(({ name }) => name),
  )
  return things.filter(({ name }) => names.includes(name))
}

function assertKnown(kind, asked, existing) {
  const unknown = asked.find((name) => !existing.includes(name))
  if (unknown === undefined) return
  const all = [...new Set(existing)].join(', ')
  throw new CommandError(`there is no ${kind} '${unknown}'; there are ${all}`)
}

const subjectsOf = ({ cases, extraSubjects = [] }) => [
  ...Object.values(cases).flat(),
  ...extraSubjects,
]

/** A case keeps its own order of subjects; extra ones run only when named. */
function toPlan(suite, filter, { rounds = suite.rounds, ...rest }) {
  const wanted = (asked, name) => asked.length === 0 || asked.includes(name)
  const extra = (suite.extraSubjects ?? []).filter((name) => filter.subjects.includes(name))
  const cases = Object.entries(suite.cases)
    .filter(([name]) => wanted(filter.cases, name))
    .map(([name, subjects]) => ({
      name,
      subjects: [...subjects.filter((subject) => wanted(filter.subjects, subject)), ...extra],
    }))
    .filter(({ subjects }) => subjects.length > 0)
  return { suite, cases, rounds, ...rest }
}

/** A filter may leave a suite with nothing to do, but not the whole command. */
function keepRunnable(plans) {
  const left = plans.filter(({ cases }) => cases.length > 0)
  if (left.length === 0) throw new CommandError('no suite has both that case and that subject')
  return left
}

function readCount(flag, text, most) {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,6}$/.test(text) || Number(text) > most) {
    throw new CommandError(`--${flag} takes a whole number from 1 to ${most}, not '${text}'`)
  }
  return Number(text)
}

function readTree(path) {
  const tree = resolve(path)
  if (!existsSync(join(tree, 'dist/index.js'))) {
    throw new CommandError(`--tree ${path} is no built checkout: it has no dist/index.js`)
  }
  return tree
}

/** A flag that the suites which were picked would ignore is a mistake. */
function assertTaken(given, picked, suites) {
  for (const [flag, value] of Object.entries(given)) {
    const takes = ({ flags = [] }) => flags.includes(flag)
    if (value === undefined || picked.some(takes)) continue
    const names = suites.filter(takes).map(({ name }) => name)
    throw new CommandError(`--${flag} is for suite ${names.join(' or ')}`)
  }
}

function askVersion(node) {
  try {
    return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  } catch (error) {
    throw new CommandError(`--node ${node} can't be run (${error.code ?? error.message})`)
  }
}

const split = (text) => text?.split(',').map((name) => name.trim()) ?? []
