import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const FLAGS = {
  json: { type: 'boolean', default: false },
  case: { type: 'string' },
  subject: { type: 'string' },
  rounds: { type: 'string' },
  node: { type: 'string' },
  record: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
}

/** A mistake in the command line: told in one line, without a stack. */
export class CommandError extends Error {}

export function readCommand(words, suites) {
  const { values, positionals } = parse(words)
  const chosen = choose('suite', positionals, suites.map(({ name }) => name))
  const picked = suites.filter(({ name }) => chosen.includes(name))
  const cases = choose('case', split(values.case), unionOf(picked, 'cases'))
  const subjects = choose('subject', split(values.subject), unionOf(picked, 'subjects', 'extraSubjects'))
  const node = values.node ?? process.execPath
  const common = { rounds: readRounds(values.rounds), node, nodeVersion: askVersion(node) }
  const plans = picked.map((suite) => toPlan(suite, cases, subjects, common))
  const { json, record, help } = values
  return { json, record, help, nodeVersion: common.nodeVersion, plans: keepRunnable(plans) }
}

export function helpText(suites) {
  const lines = suites.map(
    (suite) =>
      `${suite.name} (${suite.rounds} rounds)\n  cases     ${suite.cases.join(' ')}\n  subjects  ${[
        ...suite.subjects,
        ...(suite.extraSubjects ?? []).map((name) => `(${name})`),
      ].join(' ')}`,
  )
  return `npm run --silent bench -- [suite …] [flags]

  --json         one JSON line per (suite, case, subject) instead of tables
  --case a,b     only these cases
  --subject a,b  only these subjects (those in brackets run only when named here)
  --rounds N     rounds per case; an odd number gives a real median
  --node PATH    the Node that runs the subjects
  --record       also write the results to bench/record/
  --help         this text

No suite named: all of them.

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

/** The names asked for, or all that run by default; a name that doesn't exist ends the run. */
function choose(kind, asked, existing) {
  const unknown = asked.find((name) => !existing.includes(name))
  if (unknown !== undefined) {
    throw new CommandError(`there is no ${kind} '${unknown}'; there are ${existing.join(', ')}`)
  }
  return asked
}

function toPlan(suite, cases, subjects, common) {
  const keep = (all, asked) => (asked.length === 0 ? all : all.filter((name) => asked.includes(name)))
  const every = subjects.length === 0 ? suite.subjects : [...suite.subjects, ...(suite.extraSubjects ?? [])]
  return {
    suite,
    node: common.node,
    rounds: common.rounds ?? suite.rounds,
    cases: keep(suite.cases, cases),
    subjects: keep(every, subjects),
  }
}

/** A filter may leave a suite with nothing to do, but not the whole command. */
function keepRunnable(plans) {
  const left = plans.filter(({ cases, subjects }) => cases.length > 0 && subjects.length > 0)
  if (left.length === 0) throw new CommandError('no suite has both that case and that subject')
  return left
}

function readRounds(text) {
  if (text === undefined) return undefined
  if (!/^[1-9]\d{0,3}$/.test(text)) {
    throw new CommandError(`--rounds takes a whole number from 1 to 9999, not '${text}'`)
  }
  return Number(text)
}

function askVersion(node) {
  try {
    return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  } catch (error) {
    throw new CommandError(`--node ${node} can't be run (${error.code ?? error.message})`)
  }
}

const split = (text) => (text === undefined ? [] : text.split(',').map((name) => name.trim()))

const unionOf = (suites, ...fields) => [
  ...new Set(suites.flatMap((suite) => fields.flatMap((field) => suite[field] ?? []))),
]
