// Run as a separate process: node native-memory.mjs <dropped|steady> <options as JSON, # in a name is a number>.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { RateLimiter } from 'ratethrottle'

const MINOR = 1
const [, , mode, options] = process.argv
let collections = 0
const observer = new PerformanceObserver((list) => {
  for (const { detail } of list.getEntries()) if (detail.kind !== MINOR) collections++
})
observer.observe({ entryTypes: ['gc'] })

const residentMb = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024
/** The bytes reported to V8, which the test build of the addon counts; a negative number in other builds. */
const binding = createRequire(import.meta.url)('../../crate/napi/binding.cjs')
const toldMb = () => ('reportedBytes' in binding ? binding.reportedBytes() / 2 ** 20 : -1)
const make = (index) =>
  new RateLimiter('100/minute', JSON.parse(options.replace('#', String(index))))

/** Keys that lie on all pages of a table after some thousands. */
function use(limiter, calls) {
  for (let i = 0; i < calls; i++) limiter.allow(`key ${(i * 7919) % 100_003}`)
}

/** What a server does that makes a limiter per tenant and drops it. */
async function drop(count, calls) {
  const before = residentMb()
  let most = before
  for (let index = 0; index < count; index++) {
    use(make(index), calls)
    if (index % 10 === 9) most = Math.max(most, residentMb())
    await turn()
  }
  return { grownMb: most - before }
}

async function stay(count) {
  const limiters = Array.from({ length: count }, (_, index) => make(index))
  const reserved = toldMb()
  for (const limiter of limiters) use(limiter, 5000)
  const used = toldMb()
  await turn()
  collections = 0
  for (let round = 0; round < 40; round++) {
    for (const limiter of limiters) use(limiter, 500)
    await turn()
  }
  const steady = collections
  for (const limiter of limiters) limiter.close()
  return { reserved, used, steady, closed: toldMb() }
}

const found = mode === 'steady' ? await stay(50) : await drop(300, Number(mode))
console.log(JSON.stringify(found))
