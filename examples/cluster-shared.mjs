// One exact limit for all processes of a host, without a server for counters. Run it in a checkout, or with
// the packages fastify and ratethrottle installed: node node_modules/ratethrottle/examples/cluster-shared.mjs
//
// A Node cluster with a process for each core serves a route that is limited to 1,000 requests an hour. The
// primary sends it more than that, over real connections, and counts what was answered.
import { execFileSync } from 'node:child_process'
import cluster from 'node:cluster'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { availableParallelism } from 'node:os'
import Fastify from 'fastify'
import rateThrottle from 'ratethrottle/fastify'

const LIMIT = 1_000
const REQUESTS = 1_500
const WORKERS = Math.max(2, availableParallelism())
const IN_FLIGHT = 32

if (cluster.isPrimary) await main()
else await serve()

async function serve() {
  const app = Fastify()
  const limits = { count: LIMIT, windowMs: 3_600_000 }
  // The whole difference to a service of one process is the storage.
  // A token bucket would admit one more for every 3.6 seconds that the run takes.
  const algorithm = 'fixed-window'
  const { STORAGE: storage } = process.env
  await app.register(rateThrottle, { limits, algorithm, storage, scope: 'example' })
  app.get('/', () => ({ pid: process.pid }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  process.send({ port: app.server.address().port })
}

async function main() {
  // Of this run only: the counters would outlive it.
  const name = `example ${process.pid}`
  const STORAGE = `shared:${name}`
  const workers = Array.from({ length: WORKERS }, () => cluster.fork({ STORAGE }))
  const ports = await Promise.all(workers.map(portOf))
  const byPid = await sendAll(ports[0])
  await end(workers, name)
  const admitted = [...byPid.values()].reduce((sum, n) => sum + n, 0)
  for (const [pid, n] of byPid) console.log(`process ${pid} admitted ${n}`)
  console.log(
    `${WORKERS} processes admitted ${admitted} of ${REQUESTS} requests; the limit is ${LIMIT}`,
  )
  process.exitCode = admitted === LIMIT ? 0 : 1
}

async function portOf(worker) {
  const [{ port }] = await once(worker, 'message')
  return port
}

/** It outlives its processes, as it is meant to; an example cleans up. */
async function end(workers, storage) {
  const exits = workers.map((worker) => once(worker, 'exit'))
  for (const worker of workers) worker.kill()
  await Promise.all(exits)
  const main = new URL('../dist/cli/main.js', import.meta.url).pathname
  execFileSync(process.execPath, [main, 'shared', 'remove', `${storage} scope:example`])
}

/** How many requests each process has admitted. */
async function sendAll(port) {
  const byPid = new Map()
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })
  let left = REQUESTS
  const sendSome = async () => {
    while (left-- > 0) {
      const { status, body } = await send(port, agent)
      if (status !== 200) continue
      const { pid } = JSON.parse(body)
      byPid.set(pid, (byPid.get(pid) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, sendSome))
  agent.destroy()
  return byPid
}

function send(port, agent) {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, agent }, (response) => {
      let body = ''
      response.on('data', (data) => {
        body += data
      })
      response.on('end', () => resolve({ status: response.statusCode, body }))
    })
    call.on('error', reject)
    call.end()
  })
}
