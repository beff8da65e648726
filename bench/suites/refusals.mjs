import { addedOver, cpuOf, timeServers } from '../http-rounds.mjs'
import { BARE, OURS } from '../peers/http-answers.mjs'
import { local } from './local.mjs'
import { tables } from './refusals-tables.mjs'
import { assertSameBytes } from './same-bytes.mjs'

/** One caller who is always refused, and ten thousand of them in random order. */
const LOCAL_CASES = { 'allow-one': 'hot-stored-deny', 'allow-10k': '10k-stored-deny' }
const STORES = ['ratethrottle.allow', 'map-sliding', 'map-fixed']
const RIVAL_STORES = ['rate-limiter-flexible', 'express-rate-limit', '@fastify/rate-limit']

const SERVERS = {
  node: [BARE, OURS, 'rate-limiter-flexible'],
  fastify: [BARE, OURS, '@fastify/rate-limit', 'rate-limiter-flexible'],
  express: [BARE, OURS, 'express-rate-limit', 'rate-limiter-flexible'],
}

/** Requests of a round. Each over a connection of its own costs several times as much. */
const SIZES = {
  kept: { warmRequests: 15_000, requests: 2000, isFresh: false },
  fresh: { warmRequests: 4000, requests: 500, isFresh: true },
}

const httpCases = Object.entries(SERVERS).flatMap(([framework, subjects]) =>
  Object.keys(SIZES).map((connection) => [`${framework}-${connection}`, subjects]),
)

/** What one process refuses in a second: calls, and requests on kept and on fresh connections. */
export const refusals = {
  name: 'refusals',
  cases: {
    ...Object.fromEntries(
      Object.keys(LOCAL_CASES).map((name) => [name, [...STORES, ...RIVAL_STORES]]),
    ),
    ...Object.fromEntries(httpCases),
  },
  rounds: 21,
  run,
  tables,
}

async function* run({ cases, rounds, node }) {
  const overHttp = cases.filter(({ name }) => !Object.hasOwn(LOCAL_CASES, name))
  await assertSameBytes(
    overHttp.map(({ name, subjects }) => ({ name: servedCase(name), subjects })),
    node,
  )
  for (const { name, subjects } of cases) {
    if (Object.hasOwn(LOCAL_CASES, name)) yield* runLocal(name, subjects, { rounds, node })
    else yield* await runServers(name, subjects, { rounds, node })
  }
}

/** The case of suite `local`, whose figure is turned round. */
async function* runLocal(name, subjects, { rounds, node }) {
  const cases = [{ name: LOCAL_CASES[name], subjects }]
  for await (const { subject, nsPerOp, min, max } of local.run({ cases, rounds, node })) {
    const perSecond = Math.round(1e9 / nsPerOp)
    yield { suite: 'refusals', case: name, subject, perSecond, nsPerOp, min, max, rounds }
  }
}

/** The case that the server's process knows: how its clients connect is no matter of its own. */
const servedCase = (name) => `${name.split('-')[0]}-deny`

async function runServers(name, subjects, { rounds, node }) {
  const servers = subjects.map((subject) => ({ case: servedCase(name), subject }))
  const size = SIZES[name.split('-')[1]]
  const results = await timeServers(`refusals ${name}`, servers, { ...size, rounds, node })
  const bare = results[subjects.indexOf(BARE)]
  return subjects.map((subject, index) => {
    const figures = cpuOf(results[index])
    const perSecond = Math.round(1e6 / figures.cpuUsPerReq)
    const row = { suite: 'refusals', case: name, subject, perSecond, ...figures }
    if (subject === BARE || bare === undefined) return row
    return { ...row, addedUsPerReq: addedOver(bare, results[index]) }
  })
}
