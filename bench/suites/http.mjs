import { openLane } from '../lane.mjs'
import { report } from '../progress.mjs'
import { median, round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'
import { BARE, OURS, tables } from './http-tables.mjs'

const REQUESTS = 2000
const WARM_REQUESTS = 10_000

const ofFastify = [BARE, OURS, '@fastify/rate-limit', 'rate-limiter-flexible', 'map']
const ofExpress = [BARE, OURS, 'express-rate-limit', 'rate-limiter-flexible', 'map']

/** Real requests: processor time per request in the server's process, and what a limiter adds to it. */
export const http = {
  name: 'http',
  cases: {
    'fastify-admit': ofFastify,
    'fastify-deny': ofFastify,
    'express-admit': ofExpress,
    'express-deny': ofExpress,
  },
  rounds: 21,
  run,
  tables,
}

/** A framework's two cases take turns with each other: what a denial costs is compared with an admission. */
async function* run({ cases, rounds, node }) {
  for (const framework of ['fastify', 'express']) {
    const servers = cases
      .filter(({ name }) => name.startsWith(framework))
      .flatMap(({ name, subjects }) => subjects.map((subject) => ({ case: name, subject })))
    if (servers.length > 0) yield* await runServers(framework, servers, rounds, node)
  }
}

function runServers(framework, servers, rounds, node) {
  const tasks = [...servers.map((server) => ['server', server]), ['load', { case: framework }]]
  return withLanes(
    tasks,
    ([script, task]) => openLane(script, task, { node }),
    async (lanes) => {
      const load = lanes.at(-1)
      const targets = []
      for (const [index, server] of servers.entries()) {
        const { case: name, subject } = server
        report(`http ${name}: warming up ${subject}`)
        const target = { lane: lanes[index], port: await lanes[index].ask('listen'), name }
        await fire(target, load, WARM_REQUESTS)
        targets.push(target)
      }
      report(`http ${framework}: ${rounds} rounds`)
      const results = await takeTurns(targets, rounds, (target) => timeRound(target, load))
      return servers.map((server, index) => toRow(server, results[index], bareOf(server)))

      function bareOf({ case: name }) {
        return results[servers.findIndex((one) => one.case === name && one.subject === BARE)]
      }
    },
  )
}

const fire = ({ port, name }, load, requests) =>
  load.ask('fire', { port, requests, status: name.endsWith('admit') ? 200 : 429 })

async function timeRound(target, load) {
  const before = await target.lane.ask('cpuMicros')
  const { seconds, requests } = await fire(target, load, REQUESTS)
  const after = await target.lane.ask('cpuMicros')
  return { cpuMicros: (after - before) / requests, perSecond: requests / seconds }
}

/** What a limiter adds is taken round by round, so that both figures come from the same second or two. */
function toRow({ case: name, subject }, result, bare) {
  const cpu = spread(result.map(({ cpuMicros }) => cpuMicros))
  const row = {
    suite: 'http',
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
