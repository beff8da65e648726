import { openLane } from './lane.mjs'
import { report } from './progress.mjs'
import { median, round2, spread } from './spread.mjs'
import { takeTurns, withLanes } from './turns.mjs'

/**
 * Starts servers, each in a process of its own, warms them up and lets them take turns. Answers, per server, what
 * its rounds took: `cpuMicros` of the server for each request, and the requests of a second.
 */
export function timeServers(label, servers, { node, rounds, ...size }) {
  const tasks = [...servers.map((server) => ['server', server]), ['load', { case: label }]]
  return withLanes(
    tasks,
    ([script, task]) => openLane(script, task, { node }),
    async (lanes) => {
      const load = lanes.at(-1)
      const targets = []
      for (const [index, { case: name, subject }] of servers.entries()) {
        report(`${label}: warming up ${name}, ${subject}`)
        const target = { lane: lanes[index], port: await lanes[index].ask('listen'), name }
        await fire(target, load, size.warmRequests, size)
        targets.push(target)
      }
      report(`${label}: ${rounds} rounds`)
      return takeTurns(targets, rounds, (target) => timeRound(target, load, size))
    },
  )
}

const fire = ({ port, name }, load, requests, { isFresh = false }) =>
  load.ask('fire', { port, requests, isFresh, status: name.endsWith('admit') ? 200 : 429 })

async function timeRound(target, load, size) {
  const before = await target.lane.ask('cpuMicros')
  const sent = await fire(target, load, size.requests, size)
  const after = await target.lane.ask('cpuMicros')
  return { cpuMicros: (after - before) / sent.requests, perSecond: sent.requests / sent.seconds }
}

/** The figures of a row, least and greatest of the rounds included. */
export function cpuOf(result) {
  const micros = result.map(({ cpuMicros }) => cpuMicros)
  const cpu = spread(micros)
  return {
    cpuUsPerReq: round2(cpu.median),
    min: round2(cpu.min),
    max: round2(cpu.max),
    reqPerSec: Math.round(median(result.map(({ perSecond }) => perSecond))),
    rounds: result.length,
  }
}

/** What a limiter adds is taken round by round, so that both figures come from the same second or two. */
export function addedOver(bare, result) {
  return round2(median(result.map(({ cpuMicros }, round) => cpuMicros - bare[round].cpuMicros)))
}
