// A server whose limits come from its requests. Its first argument selects the scenario.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const { rateThrottle } = await import('ratethrottle/http')

const act = isMainThread ? JSON.parse(process.argv[2]) : workerData
const say = (what) =>
  parentPort === null ? console.log(JSON.stringify(what)) : parentPort.postMessage(what)

const limiter = rateThrottle({
  ...act.options,
  limits: (request) => JSON.parse(request.headers['x-limits']),
  key: (request) => request.headers['x-tenant'],
  cost: (request) => Number(request.headers['x-cost'] ?? 1),
})
const server = createServer(limiter.wrap((_, response) => void response.end('done')))
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const base = `http://127.0.0.1:${server.address().port}`

/** Sends `times` requests under these limits: how many were served, and what the last answer was. */
async function ask(limits, times, tenant, cost = 1) {
  const headers = { 'x-limits': JSON.stringify(limits), 'x-tenant': tenant, 'x-cost': `${cost}` }
  const seen = { served: 0, status: 0, retryAfter: 0 }
  for (let i = 0; i < times; i++) {
    const response = await fetch(base, { headers })
    await response.arrayBuffer()
    seen.served += Number(response.status === 200)
    seen.status = response.status
    seen.retryAfter = Number(response.headers.get('retry-after'))
  }
  return seen
}

if (act.tenants !== undefined) {
  // Many tenants with different limits, each of which uses its whole budget at once and then sends one more request.
  const warmUp = Math.min(2_000, act.tenants)
  for (let i = 0; i < warmUp; i++) await ask('1/s', 1, 'warm')
  const before = process.memoryUsage().rss
  const wrong = []
  for (let first = 0; first < act.tenants; first += 20) {
    const some = Array.from({ length: 20 }, async (_, i) => {
      const tenant = first + i
      const limits = {
        count: 1 + (tenant % act.counts),
        // So long that no unit comes back meanwhile, on a slow machine; not too long to be exact with each algorithm.
        windowMs: 500_000_000 + (tenant % act.windows),
      }
      const used = await ask(limits, 1, `tenant ${tenant}`, limits.count)
      const more = await ask(limits, 1, `tenant ${tenant}`)
      if (used.status !== 200 || more.status !== 429) wrong.push([tenant, used.status, more.status])
    })
    await Promise.all(some)
  }
  say({ wrong: wrong.length, first: wrong[0], grownMb: (process.memoryUsage().rss - before) / 1e6 })
} else {
  const answers = []
  for (const [limits, times] of act.asks) answers.push(await ask(limits, times, 'one'))
  if (act.worker !== undefined) {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { ...act, asks: act.worker, worker: undefined },
    })
    const [inWorker] = await once(worker, 'message')
    answers.push(...inWorker)
    await worker.terminate()
  }
  say(answers)
}
server.closeAllConnections()
server.close()
