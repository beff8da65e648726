// One of several processes that ask for the same keys of a store: prints how many calls were admitted, by algorithm,
// and how often another process was faster.
import { createLimiter } from 'ratethrottle'
import { memcachedStore } from '../../examples/stores/memcached.mjs'
import { postgresStore } from '../../examples/stores/postgres.mjs'

const [kind, port, limits, calls, ...algorithms] = process.argv.slice(2)
const where = { host: '127.0.0.1', port: Number(port) }
const STORES = {
  memcached: () => memcachedStore(where),
  postgres: () => postgresStore({ ...where, user: 'postgres', database: 'postgres' }),
}
const store = STORES[kind]()
let lost = 0
const storage = {
  ...store,
  async compareAndSet(...args) {
    const isSet = await store.compareAndSet(...args)
    if (!isSet) lost++
    return isSet
  },
}
const limiters = algorithms.map((algorithm) =>
  createLimiter({
    limits,
    storage,
    algorithm,
    name: 'race',
    deadlineMs: 30_000,
    localDenials: false,
  }),
)
await Promise.all(limiters.map((limiter) => limiter.check('warm')))
for (const limiter of limiters) {
  process.stdout.write('ready\n')
  await new Promise((resolve) => process.stdin.once('data', resolve))
  let [left, admitted] = [Number(calls), 0]
  lost = 0
  const work = async () => {
    while (left-- > 0) if ((await limiter.check('raced')).allowed) admitted++
  }
  await Promise.all(Array.from({ length: 4 }, work))
  const failures = Object.values(limiter.stats().failures).reduce((sum, count) => sum + count, 0)
  process.stdout.write(`${JSON.stringify({ admitted, lost, failures })}\n`)
}
process.exit()
