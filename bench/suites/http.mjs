import { addedOver, cpuOf, timeServers } from '../http-rounds.mjs'
import { BARE, OURS, PLAIN } from '../peers/http-answers.mjs'
import { isByHand } from '../peers/http-servers.mjs'
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

async function runServers(framework, servers, rounds, node) {
  const size = FRAMEWORKS[framework]
  const results = await timeServers(`http ${framework}`, servers, { ...size, rounds, node })
  return servers.map((server, index) => toRow(server, results[index], bareOf(server)))

  function bareOf({ case: name }) {
    return results[servers.findIndex((one) => one.case === name && one.subject === BARE)]
  }
}

function toRow({ case: name, subject }, result, bare) {
  const row = { suite: 'http', case: name, subject, ...cpuOf(result) }
  if (isByHand(subject) || bare === undefined) return row
  return { ...row, addedUsPerReq: addedOver(bare, result) }
}
