// Asks for the same keys as its siblings until it is told to stop, and writes one record for each admission
// before it goes on: key, decided by Redis (0) or not (1), start and end in microseconds of the monotonic clock.
import { openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { RedisLimiter } from 'ratethrottle/redis'

const [url, log, algorithm, limit, processes, bug, pauseMs] = process.argv.slice(2)
const KEYS = 3
const RECORD_BYTES = 18
const file = openSync(log, 'a')
const now = () => process.hrtime.bigint() / 1000n
const make = (name) =>
  new RedisLimiter(limit, {
    url,
    algorithm,
    name,
    processes: Number(processes),
    // Three faults on purpose; the checker has to find each.
    onError: bug === 'open' ? 'open' : 'local',
    localDenials: bug !== 'asks',
  })
const limiters = bug === 'two-budgets' ? [make('chaos'), make('other')] : [make('chaos')]
const failures = (limiter) =>
  Object.values(limiter.stats().failures).reduce((sum, count) => sum + count, 0)

let running = true
let asked = 0
process.on('message', () => {
  running = false
})
process.send('ready')

function record(key, isLocal, start, end) {
  const bytes = Buffer.alloc(RECORD_BYTES)
  bytes[0] = key
  bytes[1] = isLocal ? 1 : 0
  bytes.writeBigUInt64LE(start, 2)
  bytes.writeBigUInt64LE(end, 10)
  writeSync(file, bytes)
}

for (let turn = 0; running; turn++) {
  const limiter = limiters[turn % limiters.length]
  const key = turn % KEYS
  const before = failures(limiter)
  const start = now()
  const { allowed } = await limiter.check(`key ${key}`)
  asked++
  if (allowed) record(key, failures(limiter) > before, start, now())
  if (bug === 'forgets' && Math.random() < 0.001) await limiter.reset(`key ${key}`)
  // Answers from memory need no turn of the event loop; messages and timers do.
  if (turn % 50 !== 0) continue
  if (pauseMs === '0') await new Promise((resolve) => setImmediate(resolve))
  else await sleep(Number(pauseMs))
}
process.send({ asked })
await Promise.all(limiters.map((limiter) => limiter.close()))
process.exit()
