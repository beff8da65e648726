import { openLane } from '../lane.mjs'
import { BARE, OURS, PLAIN } from '../peers/http-answers.mjs'
import { report } from '../progress.mjs'
import { median, round2, spread } from '../spread.mjs'
import { takeTurns, withLanes } from '../turns.mjs'
import { tables } from './http-tables.mjs'
import { assertSameBytes } from './same-bytes.mjs'

/**
 * Rounds are short and many, so that a limiter and the bare server it is compared with share the
 * machine's moods. Fastify's figures fall until its 20,000th request; Express takes as long with fewer.
 */
const FRAMEWORKS = {
  fastify: { warmRequests: 20_000, requests: 2000 },
  express: { warmRequests: 10_000, requests: 1000 },
}

const ofFastify = [PLAIN, BARE, OURS, '@fastify/rate-limit', 'rate-limiter-flexible', 'map']
const ofExpress = [PLAIN, BARE, OURS, 'express-rate-limit', 'rate-limiter-flexible', 'map']

/** Real requests: processor time per request in the server's process, and what a limiter adds to it. */
export const http = {
  name: 'http',
  cases: {
    'fastify-admit': ofFastify,
    'fastify-deny': ofFastify,
    'express-admit': ofExpress,
    'express-deny': ofExpress,
  },
  rounds: 31,
  run,
  tables,
}

/** A framework's two cases take turns with each other: what a denial costs is compared with an admission. */
async function* run({ cases, rounds, node }) {
  await assertSameBytes(cases, node)
  for (const framework of Object.keys(FRAMEWORKS)) {
    const servers = cases
      .filter(({ name }) => name.startsWith(framework))
      .flatMap(({ name, subjects }) => subjects.map((subject) => ({ case: name, subject })))
    if (servers.length > 0) yield* await runServers(framework, servers, rounds, node)
  }
}

function runServers(framework, servers, rounds, node) {
  const { warmRequests, requests } = FRAMEWORKS[framework]
  const tasks = [...servers.map((server) => ['server', server]), ['load', { case: framework }]]
  return withLanes(
    tasks,
    ([script, task]) => openLane(script, task, { node }),
    async (lanes) => {
      const load = lanes.at(-1)
      const targets = []
      for (const [index, { case: name, subject }] of servers.entries()) {
        report(`http ${name}: warming up ${subject}`)
        const target = { lane: lanes[index], port: await lanes[index].ask('listen'), name }
        await fire(target, load, warmRequests)
        targets.push(target)
      }
      report(`http ${framework}: ${rounds} rounds`)
      const results = await takeTurns(targets, rounds, (target) =>
        timeRound(target, load, requests),
      )
      return servers.map((server, index) => toRow(server, results[index], bareOf(server)))

      function bareOf({ case: name }) {
        return results[servers.findIndex((one) => one.case === name && one.subject === BARE)]
      }
    },
  )
}

const fire = ({ port, name }, load, requests) =>
  load.ask('fire', { port, requests, status: name.endsWith('admit') ? 200 : 429 })

async function timeRound(target, load, requests) {
  const before = await target.lane.ask('cpuMicros')
  const sent = await fire(target, load, requests)
  const after = await target.lane.ask('cpuMicros')
  return { cpuMicros: (after - before) / sent.requests, perSecond: sent.requests / sent.seconds }
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
  if (subject === BARE || subject === PLAIN || bare === undefined) return row
  const added = result.map(({ cpuMicros }, round) => cpuMicros - bare[round].cpuMicros)
  return { ...row, addedUsPerReq: round2(median(added)) }
}
