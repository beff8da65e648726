import { parseArgs } from 'node:util'
import { CommandError } from '../command.mjs'
import { CONTENDERS, NAMES } from './contenders.mjs'
import { ALL_SCENARIOS, SCENARIOS, toScenario } from './scenarios.mjs'
import { readTarget } from './target.mjs'

const FLAGS = {
  scenario: { type: 'string' },
  seeds: { type: 'string' },
  from: { type: 'string' },
  contenders: { type: 'string' },
  workers: { type: 'string' },
  json: { type: 'boolean', default: false },
  record: { type: 'boolean', default: false },
  url: { type: 'string' },
  calm: { type: 'string' },
  seconds: { type: 'string' },
  help: { type: 'boolean', default: false },
}
/** Of the others, whose figures differ little from seed to seed. */
const FEW_SEEDS = 5
const MANY_SEEDS = 20

export const HELP = `npm run --silent range -- [flags]

  --scenario S2,S4   only these; or one that is not listed, as JSON: '{"bots":3000,"rate":0.7}'
                     (fields as in bench/shield/scenarios.mjs; "like":"S2" starts from a listed one)
  --seeds N          seeds of each contender; by default ${MANY_SEEDS} of ours and ${FEW_SEEDS} of the others
  --from N           the first seed, by default 1
  --contenders a,b   only these
  --workers N        processes, 1 or 2; by default 2
  --json             a JSON line per scenario, contender and seed instead of tables
  --record           also writes the table and a picture to bench/record/
  --url URL          sends real requests to a server of this machine instead, and no other: fifty regulars, and the bots
                     of the scenario from addresses of 127.0.0.0/8; by default S2, at most 3,000 requests/s
  --seconds N        with --url: how long the bots come, from 1 to 120, by default 20
  --calm N           with --url: how long the regulars come before them, by default 60; a shield takes them for regulars
                     after 45 seconds, if its options don't say otherwise
  --help             this text

scenarios
${Object.entries(ALL_SCENARIOS)
  .map(([name, { says }]) => `  ${name.padEnd(5)} ${says}`)
  .join('\n')}
  'day' runs only when it is named. S10, the two minutes after, is measured in
  all the others. S11, a forged header that names a victim, takes a real server: __test__/shield/http proves it.
contenders
${Object.entries(NAMES)
  .map(([name, words]) => `  ${name.padEnd(8)} ${words}`)
  .join('\n')}`

/** What the words of the command line ask for. */
export function readRange(words) {
  const values = parse(words)
  if (values.help) return { help: true }
  const scenarios = readScenarios(values.scenario)
  const contenders = readNames('contender', values.contenders, Object.keys(CONTENDERS))
  const seeds = readCount('seeds', values.seeds, 1_000)
  const from = readCount('from', values.from, 1_000_000) ?? 1
  const jobs = scenarios.flatMap((scenario) =>
    contenders.flatMap((contender) => jobsOf(scenario, contender, seeds, from)),
  )
  const { json, record } = values
  const target = values.url === undefined ? undefined : readTarget(values.url)
  const seconds = readCount('seconds', values.seconds, 120)
  const calm = readCount('calm', values.calm, 120)
  if (target === undefined && (seconds ?? calm) !== undefined) {
    throw new CommandError('--seconds and --calm take --url')
  }
  const workers = readCount('workers', values.workers, 2) ?? 2
  return {
    jobs,
    scenarios,
    contenders,
    workers,
    json,
    record,
    target,
    calm: calm ?? 60,
    seconds: seconds ?? 20,
  }
}

function jobsOf(scenario, contender, seeds, from) {
  const count = seeds ?? (contender === 'ours' ? MANY_SEEDS : FEW_SEEDS)
  return Array.from({ length: count }, (_, i) => ({ scenario, contender, seed: from + i }))
}

function parse(words) {
  try {
    return parseArgs({ args: words, options: FLAGS }).values
  } catch (error) {
    const flags = Object.keys(FLAGS).map((name) => `--${name}`)
    throw new CommandError(`${error.message.split('. ')[0]}; flags are ${flags.join(', ')}`)
  }
}

function readScenarios(text) {
  if (text?.trim().startsWith('{')) return [readOwn(text)]
  const names = text === undefined ? Object.keys(SCENARIOS) : readKnown(text)
  return names.map((name) => toScenario({ name, ...ALL_SCENARIOS[name] }))
}

function readOwn(text) {
  try {
    const { like, ...given } = JSON.parse(text)
    const [base] = like === undefined ? [] : readKnown(like)
    return toScenario({ name: base ?? 'own', ...ALL_SCENARIOS[base], says: text, ...given })
  } catch (error) {
    throw new CommandError(`--scenario: ${error.message}`)
  }
}

const readKnown = (text) => readNames('scenario', text, Object.keys(ALL_SCENARIOS))

function readNames(kind, text, known) {
  const names = text?.split(',').map((name) => name.trim()) ?? known
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return names
  throw new CommandError(`there is no ${kind} '${unknown}'; there are ${known.join(', ')}`)
}

function readCount(flag, text, most) {
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,6}$/.test(text) && Number(text) <= most) return Number(text)
  throw new CommandError(`--${flag} takes a whole number from 1 to ${most}, not '${text}'`)
}
