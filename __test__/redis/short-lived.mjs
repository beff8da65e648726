import { RedisLimiter } from 'ratethrottle/redis'

// A process that makes a few calls and prints how many of them were admitted.
const [, , url, calls = '5'] = process.argv
const limiter = new RedisLimiter('5/hour', { url, name: 'short-lived' })
let admitted = 0
for (let call = 0; call < Number(calls); call++) {
  const { allowed } = await limiter.check('k')
  if (allowed) admitted++
}
process.stdout.write(JSON.stringify({ admitted, failures: limiter.stats().failures }))
await limiter.close()
