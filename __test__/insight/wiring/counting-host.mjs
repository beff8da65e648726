// A process of a service: counts at random, tells other hosts often, and writes down what it has counted.

import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'

const [url, name, shared, index] = process.argv.slice(2)
const require = createRequire(`${process.cwd()}/`)
const { Hosts } = require('./dist/insight/hosts.js')
const { RedisInsightSums } = require('./dist/redis/insight-sums.js')

const isShared = shared !== ''
const memory = isShared ? { name: shared, shared: true } : { name: undefined, shared: false }
const view = insight(isShared ? memory : {})
const limiter = new RateLimiter('50/minute', { name: 'api', insight: view })
const own = new RateLimiter('50/minute', { name: `own ${index}`, insight: view })
const hosts = new Hosts(new RedisInsightSums(url, undefined, name), memory, {
  series: (options) => view.own.series(options),
  processes: () => view.processes,
  isUsed: () => true,
})

const counts = { admitted: 0, denied: 0 }
const say = (word, what) => writeSync(1, `${word} ${what.admitted} ${what.denied}\n`)
let over = false
process.once('message', () => {
  over = true
})

while (!over) {
  for (let i = 0; i < 50; i++) {
    const one = i % 5 === 0 ? own : limiter
    if (one.allow(`user:${Math.floor(Math.random() * 100)}`)) counts.admitted++
    else counts.denied++
    say('counted', counts)
  }
  const before = { ...counts }
  if (await hosts.exchange()) say('told', before)
  await sleep(20 * Math.random())
}
await hosts.exchange()
// Sent again, late, and by a process that has already told: nothing is counted twice.
await hosts.exchange()
say('told', counts)
hosts.close()
limiter.close()
own.close()
view.close()
process.disconnect()
