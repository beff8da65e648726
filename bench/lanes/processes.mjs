import assert from 'node:assert/strict'
import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import { readTask, serveLane } from '../lane.mjs'
import { PROBE } from '../limits.mjs'

const PROCESSES = 2
/** Enough for the message to arrive everywhere before anybody starts. */
const LEAD_NS = 20_000_000

const task = readTask()
if (task.subject === 'rate-limiter-flexible.cluster') {
  const { RateLimiterClusterMaster } = await import('rate-limiter-flexible')
  new RateLimiterClusterMaster()
}
cluster.setupPrimary({ exec: fileURLToPath(new URL('./process.mjs', import.meta.url)), args: [] })
const name = `bench ${process.pid}`
const workers = Array.from({ length: PROCESSES }, (_, index) =>
  cluster.fork({ TASK: JSON.stringify({ ...task, name, index }) }),
)
await Promise.all(workers.map(answerOf))

// What is shared outlives the processes: the lane is ended by signal.
process.on('SIGTERM', () => {
  for (const worker of workers) worker.send({ verb: 'end' })
  setTimeout(() => process.exit(), 300)
})

serveLane({ prepare, round })

async function prepare() {
  const probes = []
  for (const worker of workers) probes.push(await ask(worker, 'probe'))
  // One state for both, where there is one: what the first process used up, the second is denied.
  const second = task.subject === 'ratethrottle.allow' ? PROBE.count : 0
  assert.deepEqual(probes, [PROBE.count, second], 'the processes share one limit')
  for (const worker of workers) await ask(worker, 'prepare')
}

/** Calls per second of all active processes together, which start at one instant. */
async function round({ processes }) {
  const startNs = String(process.hrtime.bigint() + BigInt(LEAD_NS))
  const active = workers.slice(0, processes)
  const speeds = await Promise.all(active.map((worker) => ask(worker, 'round', { startNs })))
  return speeds.reduce((sum, speed) => sum + speed, 0)
}

async function ask(worker, verb, body = {}) {
  const answered = answerOf(worker)
  worker.send({ ...body, verb })
  const { value, error } = await answered
  if (error !== undefined) throw new Error(error)
  return value
}

/** The cluster's rival sends messages of its own through the same channel. */
function answerOf(worker) {
  return new Promise((resolve) => {
    const listen = (message) => {
      if (message.bench !== true) return
      worker.off('message', listen)
      resolve(message)
    }
    worker.on('message', listen)
  })
}
