import { openLane } from '../lane.mjs'
import { CASES } from '../local-cases.mjs'
import { report } from '../progress.mjs'
import { median, round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'

const REFERENCE = 'map-sliding'

const subjects = [
  'ratethrottle.allow',
  'ratethrottle.check',
  'noop',
  'map-fixed',
  'map-sliding',
  'map-token',
  'rate-limiter-flexible',
  'express-rate-limit',
  '@fastify/rate-limit',
]

/** Calls in one thread: nanoseconds per call, every subject in a process of its own. */
export const local = {
  name: 'local',
  cases: Object.fromEntries(Object.keys(CASES).map((name) => [name, subjects])),
  /** Run only when asked for by name: a second way to use a rival; permits, which are taken and given back. */
  extraSubjects: ['rate-limiter-flexible.get', 'permits', 'permits.total', 'permits.shared'],
  rounds: 7,
  run,
  tables,
}

async function* run({ cases, rounds, node }) {
  for (const { name, subjects: chosen } of cases) yield* await runCase(name, chosen, rounds, node)
}

function runCase(name, chosen, rounds, node) {
  const tasks = chosen.map((subject) => ({ case: name, subject }))
  return withLanes(
    tasks,
    (task) => openLane('local', task, { node }),
    async (lanes) => {
      for (const [index, lane] of lanes.entries()) {
        report(`local ${name}: preparing ${chosen[index]}`)
        const way = await lane.ask('prepare')
        if (way !== 'direct') report(`local ${name}: ${chosen[index]} is faster ${way}`)
      }
      report(`local ${name}: ${rounds} rounds`)
      const results = await takeTurns(lanes, rounds, (lane) => lane.ask('round'))
      return results.map((answers, index) => toRow(name, chosen[index], answers))
    },
  )
}

function toRow(name, subject, answers) {
  const { median: middle, min, max } = spread(answers.map(({ nanos }) => nanos))
  const shares = answers.map(({ denied }) => denied)
  return {
    suite: 'local',
    case: name,
    subject,
    nsPerOp: round2(middle),
    min: round2(min),
    max: round2(max),
    cpuNsPerOp: round2(median(answers.map(({ cpuNanos }) => cpuNanos))),
    rounds: answers.length,
    ...(shares.includes(undefined) ? {} : { denied: round4(median(shares)) }),
  }
}

const round4 = (share) => Math.round(share * 10_000) / 10_000

function tables(rows) {
  return [...new Set(rows.map((row) => row.case))].map((name) =>
    caseTable(
      name,
      rows.filter((row) => row.case === name),
    ),
  )
}

function caseTable(name, rows) {
  const reference = rows.find((row) => row.subject === REFERENCE)
  const isMixed = rows.some(({ denied }) => denied !== undefined)
  return {
    title: `local ${name}`,
    head: [
      ...['subject', 'ns/op', 'min', 'max', `speed, ${REFERENCE} = 1`, 'CPU ns'],
      ...(isMixed ? ['denied'] : []),
    ],
    body: rows.map((row) => [
      row.subject,
      row.nsPerOp.toFixed(1),
      row.min.toFixed(1),
      row.max.toFixed(1),
      reference === undefined ? '' : `${(reference.nsPerOp / row.nsPerOp).toFixed(2)}×`,
      row.cpuNsPerOp.toFixed(1),
      ...(isMixed ? [toPercent(row.denied)] : []),
    ]),
  }
}

const toPercent = (share) => (share === undefined ? '' : `${(share * 100).toFixed(1)} %`)
