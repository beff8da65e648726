import { RedisLimiter } from 'ratethrottle/redis'

/** Compiles, so the methods answer with promises; calling it needs a server, and other tests have one. */
export async function mayPass(limiter: RedisLimiter, key: string): Promise<boolean> {
  return (await limiter.check(key)).allowed
}

console.log(typeof RedisLimiter)
