import { openLane } from '../lane.mjs'
import { report } from '../progress.mjs'
import { round2, spread } from '../spread.mjs'
import { takeTurns } from '../turns.mjs'

const LIVE_KEYS = 1_000_000
const MEBIBYTE = 1024 * 1024
const OURS = 'ratethrottle'
/** What a lane loads for each row's subject. */
const LOADED = { [OURS]: 'ratethrottle.allow' }

/**
 * A full collection before each reading, and a young heap of one size from the start: left to
 * itself it grows by steps of 16 MB, which a reading would take for the limiter's.
 */
const execArgv = ['--expose-gc', '--min-semi-space-size=16', '--max-semi-space-size=16']

/** Resident memory: of a million live keys, and while ten million more pass through. */
export const memory = {
  name: 'memory',
  cases: {
    '1m-live': [
      OURS,
      'map-sliding',
      'rate-limiter-flexible',
      'express-rate-limit',
      '@fastify/rate-limit',
    ],
    // Of the others only @fastify/rate-limit is bounded, and it forgets the keys it has denied.
    flood: [OURS],
  },
  rounds: 3,
  run,
  tables,
}

async function* run({ cases, rounds, node }) {
  for (const { name, subjects } of cases) {
    if (name === 'flood') yield await runFlood(rounds, node)
    else yield* await runLive(subjects, rounds, node)
  }
}

async function runLive(subjects, rounds, node) {
  const results = await takeTurns(subjects, rounds, (subject) => measure('live', subject, node))
  return results.map((bytes, index) => {
    const { median, min, max } = spread(bytes)
    return {
      suite: 'memory',
      case: '1m-live',
      subject: subjects[index],
      bytes: median,
      bytesPerKey: round2(median / LIVE_KEYS),
      min,
      max,
      rounds,
    }
  })
}

/** The round that grew most stands for all: a bound is not a median. */
async function runFlood(rounds, node) {
  const [floods] = await takeTurns([OURS], rounds, (subject) => measure('flood', subject, node))
  const growthOf = ({ before, after }) => after / before - 1
  const worst = floods.reduce((most, one) => (growthOf(one) > growthOf(most) ? one : most))
  return {
    suite: 'memory',
    case: 'flood',
    subject: OURS,
    before: worst.before,
    after: worst.after,
    growth: Math.round(growthOf(worst) * 1e4) / 1e4,
    blockedStillDenied: floods.every((one) => one.blockedStillDenied),
    rounds,
  }
}

/** Memory once used is not given back as it was: every reading needs a process of its own. */
async function measure(verb, subject, node) {
  report(`memory ${verb}: ${subject}`)
  const task = { case: verb, subject: LOADED[subject] ?? subject }
  const lane = openLane('memory', task, { node, execArgv })
  try {
    return await lane.ask(verb)
  } finally {
    await lane.close()
  }
}

function tables(rows) {
  const live = rows.filter((row) => row.case === '1m-live')
  const flood = rows.filter((row) => row.case === 'flood')
  return [liveTable(live), floodTable(flood)].filter((table) => table.body.length > 0)
}

function liveTable(rows) {
  return {
    title: 'memory 1m-live: resident memory of 1,000,000 live keys',
    head: ['subject', 'MiB', 'bytes/key', 'min MiB', 'max MiB'],
    body: rows.map((row) => [
      row.subject,
      mebibytes(row.bytes),
      row.bytesPerKey.toFixed(1),
      mebibytes(row.min),
      mebibytes(row.max),
    ]),
    notes: ['The Maps and the rivals keep the key strings alive; ratethrottle keeps none.'],
  }
}

function floodTable(rows) {
  return {
    title: 'memory flood: 10,000,000 fresh keys through a table made for 1,000,000',
    head: ['subject', 'before, MiB', 'after, MiB', 'growth', 'blocked keys still denied'],
    body: rows.map((row) => [
      row.subject,
      mebibytes(row.before),
      mebibytes(row.after),
      `${(row.growth * 100).toFixed(2)} %`,
      row.blockedStillDenied ? 'yes' : 'no',
    ]),
  }
}

const mebibytes = (bytes) => (bytes / MEBIBYTE).toFixed(1)
