// tiers.mjs <url of a Redis>: on Node, Bun or Deno, what three calls at a limit of two are told in each tier.
import { createLimiter, RateLimiter } from 'ratethrottle'

const name = `tiers-${process.pid}`
const memory = new RateLimiter('2/minute')
const shared = new RateLimiter('2/minute', { name, shared: true })
const redis = createLimiter({ limits: '2/minute', name, storage: process.argv[2] })
const calls = [1, 2, 3]
console.log('memory', ...calls.map(() => memory.allow('ada')))
console.log('shared', ...calls.map(() => shared.allow('ada')))
for (const call of calls) calls[call - 1] = (await redis.check('ada')).allowed
console.log('redis', ...calls, (await redis.ready()).available)
shared.close()
await redis.close()
