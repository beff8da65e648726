import { openLane } from '../lane.mjs'
import { report } from '../progress.mjs'
import { round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'

const THREADS = [1, 2]

const cases = ['same', 'different'].flatMap((kind) =>
  ['admit', 'deny'].map((outcome) => `${kind}-${outcome}`),
)

const notes = [
  'No rival row: in Node nothing else shares one limit between threads of a process.',
  '`noop`, the empty native call, shares nothing: its scale is what the machine can give.',
]

/** Calls per second of one and of two worker threads on one named limiter. */
export const threads = {
  name: 'threads',
  cases,
  subjects: ['ratethrottle.allow', 'noop'],
  rounds: 7,
  run,
  tables,
}

async function* run(plan) {
  for (const name of plan.cases) yield* await runCase(name, plan)
}

function runCase(name, { subjects, rounds, node }) {
  const tasks = subjects.map((subject) => ({ case: name, subject }))
  return withLanes(tasks, (task) => openLane('threads', task, { node }), async (lanes) => {
    report(`threads ${name}: ${rounds} rounds of ${subjects.join(', ')}`)
    const counts = []
    for (const lane of lanes) counts.push(await lane.ask('prepare'))
    const turns = lanes.flatMap((lane, index) =>
      THREADS.map((threads) => ({ lane, subject: subjects[index], threads, count: counts[index] })),
    )
    const step = ({ lane, ...body }) => lane.ask('round', body)
    const speeds = await takeTurns(turns, rounds, step)
    return turns.map((turn, index) => toRow(name, turn, speeds[index], speeds[turns.findIndex((other) => other.subject === turn.subject)]))
  })
}

/** Two threads against one, each by its median. */
function toRow(name, { subject, threads: active }, speeds, alone) {
  const { median, min, max } = spread(speeds)
  return {
    suite: 'threads',
    case: name,
    subject,
    threads: active,
    opsPerSec: Math.round(median),
    scale: round2(median / spread(alone).median),
    nsPerOp: round2(1e9 / median),
    min: round2(1e9 / max),
    max: round2(1e9 / min),
    rounds: speeds.length,
  }
}

function tables(rows) {
  return [
    {
      title: 'threads',
      head: ['case, subject', 'threads', 'million calls/s', 'ns/op', 'min', 'max', 'scale'],
      body: rows.map((row) => [
        `${row.case}, ${row.subject}`,
        String(row.threads),
        (row.opsPerSec / 1e6).toFixed(2),
        row.nsPerOp.toFixed(1),
        row.min.toFixed(1),
        row.max.toFixed(1),
        `${row.scale.toFixed(2)}×`,
      ]),
      notes,
    },
  ]
}
