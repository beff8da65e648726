import { openLane } from '../lane.mjs'
import { report } from '../progress.mjs'
import { round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'

const THREADS = [1, 2]

const subjects = ['ratethrottle.allow', 'noop']

const names = ['same', 'different'].flatMap((kind) =>
  ['admit', 'deny'].map((outcome) => `${kind}-${outcome}`),
)

const notes = [
  'No rival row: in Node nothing else shares one limit between threads of a process.',
  '`noop`, the empty native call, shares nothing: its scale is what the machine can give.',
]

/** Calls per second of one and of two worker threads on one named limiter. */
export const threads = {
  name: 'threads',
  cases: Object.fromEntries(names.map((name) => [name, subjects])),
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
    (task) => openLane('threads', task, { node }),
    async (lanes) => {
      report(`threads ${name}: ${rounds} rounds of ${chosen.join(', ')}`)
      const turns = []
      for (const [index, lane] of lanes.entries()) {
        const count = await lane.ask('prepare')
        for (const active of THREADS) turns.push({ lane, count, subject: chosen[index], active })
      }
      const results = await takeTurns(turns, rounds, askSpeed)
      return turns.map(({ subject, active }, index) => {
        const alone = turns.findIndex((turn) => turn.subject === subject && turn.active === 1)
        return toRow(name, subject, active, results[index], results[alone])
      })
    },
  )
}

const askSpeed = ({ lane, count, active }) => lane.ask('round', { count, threads: active })

/** Two threads against one, each by its median. */
function toRow(name, subject, active, speeds, alone) {
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
