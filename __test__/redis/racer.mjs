// One of several processes that ask for the same keys: prints how many calls were admitted, by algorithm.
import { RedisLimiter } from 'ratethrottle/redis'

const [url, limit, calls, ...algorithms] = process.argv.slice(2)
const limiters = algorithms.map((algorithm) => {
  const options = { url, algorithm, name: 'race', deadlineMs: 30_000, localDenials: false }
  return new RedisLimiter(limit, options)
})
await Promise.all(limiters.map((limiter) => limiter.check('warm')))
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
const admitted = []
let failures = 0
for (const limiter of limiters) {
  let left = Number(calls)
  let here = 0
  const work = async () => {
    while (left-- > 0) if ((await limiter.check('raced')).allowed) here++
  }
  await Promise.all(Array.from({ length: 32 }, work))
  admitted.push(here)
  const missed = Object.values(limiter.stats().failures).reduce((sum, count) => sum + count, 0)
  if (missed > 0) console.error(JSON.stringify(limiter.stats()))
  failures += missed
  await limiter.close()
}
process.stdout.write(`${JSON.stringify({ admitted, failures })}\n`)
process.exit()
