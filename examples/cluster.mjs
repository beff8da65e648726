// Four workers of node:cluster, one port, one Redis, one limit: exactly the limit is admitted by all of them
// together. It needs a Redis, and the packages fastify and ioredis: node examples/cluster.mjs redis://127.0.0.1:6379/0
import cluster from 'node:cluster'
import { Agent, request } from 'node:http'
import Fastify from 'fastify'
import rateThrottle from 'ratethrottle/fastify'

const WORKERS = 4
const LIMIT = 100
const REQUESTS = 400
const storage = process.argv[2] ?? process.env.RATELIMIT_STORAGE_URL
/** A budget of its own for each run. */
const keyPrefix = `example-${cluster.isPrimary ? process.pid : process.ppid}:`

/** The service as a user writes it. `storage` is all that several processes need. */
async function serve() {
  const app = Fastify()
  // The exact log, and patience: on a busy machine a worker may need more than the default 50 ms to connect,
  // and would count in its own memory until then.
  const options = { algorithm: 'sliding-log', storage, keyPrefix, deadlineMs: 5_000 }
  await app.register(rateThrottle, { limits: `${LIMIT}/minute`, ...options })
  app.get('/', async () => ({ worker: process.pid }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  process.on('message', () => app.close().then(() => process.exit()))
  process.send({ port: app.server.address().port })
}

/** Sends one request over a connection of its own, so that the workers take turns. */
function get(port) {
  const agent = new Agent({ keepAlive: false })
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, agent }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode, body }))
    })
    call.on('error', reject)
    call.end()
  })
}

async function run() {
  const workers = Array.from({ length: WORKERS }, () => cluster.fork())
  const ports = await Promise.all(
    workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))),
  )
  const { port } = ports[0]
  const answers = []
  for (let sent = 0; sent < REQUESTS; sent += 40) {
    answers.push(...(await Promise.all(Array.from({ length: 40 }, () => get(port)))))
  }
  const admitted = answers.filter(({ status }) => status === 200)
  const byWorker = new Set(admitted.map(({ body }) => body)).size
  const refused = answers.filter(({ status }) => status === 429).length
  console.log(`${REQUESTS} requests to ${WORKERS} workers, limit ${LIMIT} a minute`)
  console.log(`admitted: ${admitted.length}, by ${byWorker} workers; refused: ${refused}`)
  for (const worker of workers) worker.send('close')
  process.exitCode = admitted.length === LIMIT ? 0 : 1
}

if (!storage) {
  console.error('Usage: node examples/cluster.mjs redis://[user:password@]host[:port][/db]')
  process.exit(2)
}
await (cluster.isPrimary ? run() : serve())
