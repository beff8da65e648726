import { parseLimits, RateLimiter } from 'ratethrottle'
import {
  type Backend,
  type Counters,
  Guard,
  RemoteLimiter,
  resolveRemoteOptions,
  storeDecision,
} from 'ratethrottle/remote'

/** A store for the test: its counters live in this process. */
async function main(): Promise<void> {
  const limits = parseLimits('1/hour')
  const options = resolveRemoteOptions({ deadlineMs: 1_000 })
  const guard = new Guard({ name: 'nothing', ping: async () => undefined }, options)
  const local = new RateLimiter('1/hour')
  const decide = (key: string, cost: number): Promise<ReturnType<typeof storeDecision>> =>
    guard.run(async () => {
      const decision = local.check(key, cost)
      return storeDecision(decision, limits, { statuses: local.standings(key) })
    })
  const counters: Counters = {
    charge: decide,
    acquire: decide,
    peek: async (key) => local.peek(key),
    refund: async (key, units) => local.refund(key, units),
    block: async (key, ms) => local.block(key, ms),
    reset: async (key) => local.reset(key),
  }
  const backend: Backend = {
    sharing: { group: counters, processes: 0, parts: 1 },
    outages: guard.outages,
    counters: () => counters,
    ready: () => guard.ready(),
    close: async () => guard.close(),
  }
  const limiter = new RemoteLimiter(limits, options, backend)
  const first = await limiter.check('user:42')
  const second = await limiter.check('user:42')
  console.log(`${first.allowed} ${second.allowed}`)
  await limiter.close()
}

void main()
