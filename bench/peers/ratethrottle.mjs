import { RateLimiter } from 'ratethrottle'
import { syncLoops } from '../loop.mjs'

/** Fewer would save nothing: a table this small fits the first-level cache anyway. */
const LEAST_CAPACITY = 1000

/** The default algorithm (token-bucket), its table made for the keys of the case. */
function openLimiter({ text, keys, name }) {
  const capacity = Math.max(keys, LEAST_CAPACITY)
  return new RateLimiter(text, name === undefined ? { capacity } : { capacity, name })
}

export function createAllow(limit) {
  const limiter = openLimiter(limit)
  return peer(limiter, (key) => limiter.allow(key))
}

/** As `createAllow`, on the table that processes share. */
export function createShared({ text, keys, name }) {
  const capacity = Math.max(keys, LEAST_CAPACITY)
  const limiter = new RateLimiter(text, { capacity, name, shared: true })
  return peer(limiter, (key) => limiter.allow(key))
}

/** The state is in Redis; promises. */
export async function createRedis({ text, name, url }) {
  const { RedisLimiter } = await import('ratethrottle/redis')
  // Else a denied key would not be asked for at all.
  const limiter = new RedisLimiter(text, { url, name, localDenials: false })
  const take = async (key) => (await limiter.check(key)).allowed
  return { take, close: () => limiter.close() }
}

/** The last Decision is kept in sight, or the compiler could leave out the object that users get. */
export function createCheck(limit) {
  const limiter = openLimiter(limit)
  const seen = { decision: undefined }
  return peer(limiter, (key) => {
    const decision = limiter.check(key)
    seen.decision = decision
    return decision.allowed
  })
}

const peer = (limiter, take) => ({
  take,
  ways: { direct: syncLoops(take) },
  evictions: () => limiter.stats().evictions,
  block: (key, ms) => limiter.block(key, ms),
  close: () => limiter.close(),
})
