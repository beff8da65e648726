// A service of limited capacity behind a shield, or without: the child of index.mjs and of auto.mjs.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { shield } from 'ratethrottle/shield'

const { framework, isShielded, capacity, regulars, workMs } = JSON.parse(process.argv[2])
/** What a request may wait for its turn; one that would wait longer is lost. */
const LONGEST_WAIT_MS = 1_000

/** When the service has done all that it has accepted. */
let freeAt = 0

/** A database that does one thing after another. `undefined` for a request that is lost. */
function turn() {
  const now = performance.now()
  const at = Math.max(now, freeAt) + 1_000 / capacity
  if (at - now > LONGEST_WAIT_MS) return undefined
  freeAt = at
  return new Promise((resolve) => setTimeout(resolve, at - now))
}

const PAGE = Buffer.alloc(1_024)

/** Computes so many hashes. */
function work(rounds) {
  for (let i = 0; i < rounds; i++) createHash('sha256').update(PAGE).digest()
}

/** How many hashes take so long here: the best of some tries, because others compute too. */
function roundsOf(ms) {
  const rounds = 200
  let best = Number.POSITIVE_INFINITY
  for (let i = 0; i < 50; i++) {
    const start = performance.now()
    work(rounds)
    best = Math.min(best, performance.now() - start)
  }
  return Math.round((rounds * ms) / best)
}

const rounds = workMs === undefined ? 0 : roundsOf(workMs)

async function answer() {
  if (rounds > 0) {
    work(rounds)
    return { status: 200, body: 'page' }
  }
  const done = turn()
  if (done === undefined) return { status: 504, body: 'lost' }
  await done
  return { status: 200, body: 'page' }
}

const guard = isShielded
  ? shield({
      mode: 'enforce',
      // What computes shows by itself what it can do.
      maxRate: workMs === undefined ? `${capacity}/second` : 'auto',
      regulars,
      onPressure: ({ active }) => process.send({ pressure: active, at: Date.now() }),
    })
  : undefined

async function ofFastify() {
  const app = Fastify()
  if (guard !== undefined) await app.register(forFastify, { shield: guard })
  app.get('/', async (_request, reply) => {
    const { status, body } = await answer()
    return reply.code(status).send(body)
  })
  await app.ready()
  return app.server
}

function ofExpress() {
  const app = express()
  if (guard !== undefined) app.use(forExpress({ shield: guard }))
  app.get('/', async (_request, response) => {
    const { status, body } = await answer()
    response.status(status).send(body)
  })
  return createServer(app)
}

const server = framework === 'fastify' ? await ofFastify() : ofExpress()
guard?.protect(server)
server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => {
  process.send({ port: server.address().port })
})
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ cpuMs: (user + system) / 1_000, state: guard?.state() })
})
process.on('disconnect', () => process.exit())
