import { openLane } from '../lane.mjs'
import { report } from '../progress.mjs'
import { median, round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'

const BARE = 'bare'
const OURS = 'ratethrottle'
const THEIRS = '@fastify/rate-limit'
const REQUESTS = 5000
const WARM_REQUESTS = 20_000

const subjects = [BARE, OURS, THEIRS]

/** Real requests: processor time per request in the server's process, and what a limiter adds to it. */
export const fastify = {
  name: 'fastify',
  cases: { 'fastify-admit': subjects, 'fastify-deny': subjects },
  rounds: 15,
  run,
  tables,
}

async function* run({ cases, rounds, node }) {
  for (const { name, subjects: chosen } of cases) yield* await runCase(name, chosen, rounds, node)
}

function runCase(name, chosen, rounds, node) {
  const status = name === 'fastify-admit' ? 200 : 429
  const servers = chosen.map((subject) => ({ script: 'server', case: name, subject }))
  const tasks = [...servers, { script: 'load', case: name, status }]
  return withLanes(
    tasks,
    ({ script, ...task }) => openLane(script, task, { node }),
    async (lanes) => {
      const load = lanes.at(-1)
      const targets = []
      for (const lane of lanes.slice(0, -1)) targets.push({ lane, port: await lane.ask('listen') })
      report(`${name}: warming up ${chosen.join(', ')}`)
      for (const { port } of targets) await load.ask('fire', { port, requests: WARM_REQUESTS })
      report(`${name}: ${rounds} rounds`)
      const results = await takeTurns(targets, rounds, (target) => fireAt(target, load))
      const bare = results[chosen.indexOf(BARE)]
      return results.map((result, index) => toRow(name, chosen[index], result, bare))
    },
  )
}

async function fireAt({ lane, port }, load) {
  const before = await lane.ask('cpuMicros')
  const { seconds, requests } = await load.ask('fire', { port, requests: REQUESTS })
  const after = await lane.ask('cpuMicros')
  return { cpuMicros: (after - before) / requests, perSecond: requests / seconds }
}

/** What a limiter adds is taken round by round, so that both figures come from the same second or two. */
function toRow(name, subject, result, bare) {
  const cpu = spread(result.map(({ cpuMicros }) => cpuMicros))
  const row = {
    suite: 'fastify',
    case: name,
    subject,
    cpuUsPerReq: round2(cpu.median),
    min: round2(cpu.min),
    max: round2(cpu.max),
    reqPerSec: Math.round(median(result.map(({ perSecond }) => perSecond))),
    rounds: result.length,
  }
  if (subject === BARE || bare === undefined) return row
  const added = result.map(({ cpuMicros }, round) => cpuMicros - bare[round].cpuMicros)
  return { ...row, addedUsPerReq: round2(median(added)) }
}

function tables(rows) {
  return [...new Set(rows.map((row) => row.case))].map((name) =>
    caseTable(
      name,
      rows.filter((row) => row.case === name),
    ),
  )
}

function caseTable(name, rows) {
  const added = (subject) => rows.find((row) => row.subject === subject)?.addedUsPerReq
  const share = added(OURS) / added(THEIRS)
  return {
    title: name,
    head: ['server', 'CPU µs/request', 'min', 'max', 'added over bare', 'requests/s'],
    body: rows.map((row) => [
      row.subject,
      row.cpuUsPerReq.toFixed(1),
      row.min.toFixed(1),
      row.max.toFixed(1),
      row.addedUsPerReq === undefined ? '' : row.addedUsPerReq.toFixed(1),
      String(row.reqPerSec),
    ]),
    notes: Number.isFinite(share)
      ? [`${OURS} adds ${Math.round(share * 100)} % of what ${THEIRS} adds.`]
      : [],
  }
}
