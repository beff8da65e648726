// One of several processes: decides, and notes each decision in a file of its own, which outlives a kill.
// Arguments: name, decisions, the file, whether to tell an insight.
import { openSync, writeSync } from 'node:fs'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'

const [name, decisions, file] = process.argv.slice(2)
const view = insight({ name, shared: true, keys: 'plain', top: 10 })
const limiter = new RateLimiter(['20/second', '1000/minute'], { name, shared: true, insight: view })
const log = openSync(file, 'w')
const counts = new Float64Array(2)
const bytes = Buffer.from(counts.buffer)

for (let i = 0; i < Number(decisions); i++) {
  const isAllowed =
    i % 2 === 0 ? limiter.allow(`key ${i % 7}`) : limiter.check(`key ${i % 5}`).allowed
  counts[isAllowed ? 0 : 1]++
  writeSync(log, bytes, 0, 16, 0)
}
process.send?.('done')
