import { openLane } from '../lane.mjs'
import { report } from '../progress.mjs'
import { startRedis } from '../redis.mjs'
import { round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'

const PROCESSES = [1, 2]
const MEMORY = 'ratethrottle.allow'
const NEEDS_REDIS = ['ratethrottle.redis']

const subjects = [MEMORY, 'ratethrottle.shared', 'rate-limiter-flexible.cluster', ...NEEDS_REDIS]

const names = ['same', 'different'].flatMap((kind) =>
  ['admit', 'deny'].map((outcome) => `${kind}-${outcome}`),
)

const notes = [
  '`ratethrottle.allow` counts for each process alone: it is what sharing is compared with.',
  'Rows with promises have 16 calls in flight; their processes wait, so their primary or Redis sets the pace.',
]

/** Calls per second of one and of two processes that share one limit. */
export const processes = {
  name: 'processes',
  cases: Object.fromEntries(names.map((name) => [name, subjects])),
  rounds: 7,
  run,
  tables,
}

async function* run({ cases, rounds, node }) {
  const redis = await startRedis()
  if (redis === undefined) report('processes: no redis-server here, so no rows with Redis')
  try {
    for (const { name, subjects: asked } of cases) {
      const chosen = asked.filter((subject) => redis || !NEEDS_REDIS.includes(subject))
      yield* await runCase(name, chosen, rounds, { node, url: redis?.url })
    }
  } finally {
    redis?.stop()
  }
}

function runCase(name, chosen, rounds, { node, url }) {
  const tasks = chosen.map((subject) => ({ case: name, subject, url }))
  return withLanes(
    tasks,
    (task) => openLane('processes', task, { node }),
    async (lanes) => {
      report(`processes ${name}: ${rounds} rounds of ${chosen.join(', ')}`)
      const turns = []
      for (const [index, lane] of lanes.entries()) {
        await lane.ask('prepare')
        for (const active of PROCESSES) turns.push({ lane, subject: chosen[index], active })
      }
      const results = await takeTurns(turns, rounds, ({ lane, active }) =>
        lane.ask('round', { processes: active }),
      )
      const speedOf = (subject, active) =>
        results[turns.findIndex((turn) => turn.subject === subject && turn.active === active)]
      return turns.map((turn, index) => toRow(name, turn, results[index], speedOf))
    },
  )
}

function toRow(name, { subject, active }, speeds, speedOf) {
  const { median, min, max } = spread(speeds)
  const memory = speedOf(MEMORY, active)
  return {
    suite: 'processes',
    case: name,
    subject,
    processes: active,
    opsPerSec: Math.round(median),
    scale: round2(median / spread(speedOf(subject, 1)).median),
    // Of the processor, not of the clock: two processes on two cores take half the time for each call.
    nsPerOp: round2((1e9 * active) / median),
    min: round2((1e9 * active) / max),
    max: round2((1e9 * active) / min),
    ...(memory === undefined ? {} : { ofMemory: round2(spread(memory).median / median) }),
    rounds: speeds.length,
  }
}

function tables(rows) {
  return [
    {
      title: 'processes',
      head: [
        ...['case, subject', 'processes', 'million calls/s', 'ns/op of each', 'min', 'max'],
        ...['scale', 'of memory'],
      ],
      body: rows.map((row) => [
        `${row.case}, ${row.subject}`,
        String(row.processes),
        (row.opsPerSec / 1e6).toFixed(3),
        row.nsPerOp.toFixed(1),
        row.min.toFixed(1),
        row.max.toFixed(1),
        `${row.scale.toFixed(2)}×`,
        row.ofMemory === undefined ? '' : `${row.ofMemory.toFixed(2)}×`,
      ]),
      notes,
    },
  ]
}
