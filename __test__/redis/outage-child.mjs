import { subscribe } from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { RedisLimiter, STORE_CHANNEL } from 'ratethrottle/redis'

// A process that opens a limiter with the given options, calls it a few times, and prints its warnings.
const {
  url,
  ioredis,
  cluster,
  options = {},
  calls = 4,
  forMs = 1_000,
} = JSON.parse(process.argv[2])
const warnings = []
process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }))
const changes = []
subscribe(STORE_CHANNEL, ({ available, reason }) => changes.push([available, reason]))
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function open(more) {
  if (url !== undefined) return new RedisLimiter('5/hour', { url, ...options, ...more })
  const { Redis, Cluster } = createRequire(import.meta.url)('ioredis')
  const client = cluster
    ? new Cluster(cluster, ioredis)
    : new Redis({ lazyConnect: true, ...ioredis })
  client.on('error', () => {})
  return new RedisLimiter('5/hour', { client, ...options, ...more })
}

let limiter
try {
  limiter = open({ connectTimeoutMs: 1_000 })
} catch {
  limiter = open({})
}
const decisions = []
for (let call = 0; call < calls; call++) {
  const { allowed } = await limiter.check(`k${call}`)
  decisions.push(allowed)
}
for (let waited = 0; waited < 6_000 && warnings.length === 0; waited += 50) await sleep(50)
await sleep(forMs)
const status = await limiter.ready?.()
process.stdout.write(JSON.stringify({ warnings, changes, decisions, status }))
process.exit()
