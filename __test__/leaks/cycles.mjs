// Makes and drops limiters: node --expose-gc cycles.mjs <close|collect>. Prints what memory grew by, in KiB.
import { setImmediate as turn } from 'node:timers/promises'
import { RateLimiter } from 'ratethrottle'

const [, , way] = process.argv

async function cycle(count) {
  for (let i = 0; i < count; i++) {
    const limiter = new RateLimiter(['100/minute', '10/s'], {
      capacity: 1_000,
      name: `cycle-${i % 7}`,
    })
    for (let key = 0; key < 20; key++) limiter.allow(`k${key}`)
    limiter.check('k')
    if (way === 'close') limiter.close()
    if (i % 100 === 0) {
      globalThis.gc()
      await turn()
    }
  }
  globalThis.gc()
  await turn()
  globalThis.gc()
}

await cycle(3_000)
const before = process.memoryUsage()
await cycle(10_000)
const after = process.memoryUsage()
const grown = (name) => Math.round((after[name] - before[name]) / 1024)
console.log(JSON.stringify({ heap: grown('heapUsed'), rss: grown('rss') }))
