import RedisStore from '@fastify/rate-limit/store/RedisStore.js'
import { Redis } from 'ioredis'
import { RedisStore as ExpressStore } from 'rate-limit-redis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { RedisLimiter } from 'ratethrottle/redis'

const COUNT = 100_000_000
const WINDOW_MS = 3_600_000
/** A busy machine is no outage: what is measured here is speed. */
const DEADLINE_MS = 10_000

/** Each subject opens its own connection and answers a function that charges a key one unit. */
const SUBJECTS = {
  ping: async (client) => () => client.ping(),
  'incr-pexpire': async (client) => (key) =>
    client.multi().incr(key).pexpire(key, WINDOW_MS).exec(),
  ratethrottle: (client) => ours(client, { localDenials: false }),
  'ratethrottle-lease': (client) => ours(client, { lease: { size: 1_000 } }),
  'ratethrottle-denied': (client) => ours(client, {}, 1),
  'rate-limiter-flexible': (client) => flexible(client, {}),
  'rate-limiter-flexible-denied': (client) => flexible(client, { inMemoryBlockOnConsumed: 1 }, 1),
  'rate-limit-redis': express,
  '@fastify/rate-limit': fastify,
}

/** The names of the subjects. */
export const REDIS_SUBJECTS = Object.keys(SUBJECTS)

/** Opens a subject: `take` charges a key, `close` ends it. */
export async function openSubject(name, port, enableAutoPipelining) {
  const client = new Redis({ host: '127.0.0.1', port, enableAutoPipelining })
  await client.ping()
  return { take: await SUBJECTS[name](client), close: () => client.disconnect() }
}

/** The default algorithm, against one limit. */
async function ours(client, options, count = COUNT) {
  const limits = { count, windowMs: WINDOW_MS }
  const limiter = new RedisLimiter(limits, { client, deadlineMs: DEADLINE_MS, ...options })
  await limiter.check('connected?', 0)
  return async (key) => (await limiter.check(key)).allowed
}

async function flexible(client, options, points = COUNT) {
  const duration = WINDOW_MS / 1_000
  const limiter = new RateLimiterRedis({ storeClient: client, points, duration, ...options })
  return (key) => limiter.consume(key).catch(() => false)
}

async function express(client) {
  const store = new ExpressStore({ sendCommand: (...args) => client.call(...args) })
  await store.init({ windowMs: WINDOW_MS })
  return (key) => store.increment(key)
}

async function fastify(client) {
  const store = new RedisStore(false, false, client, 'frl-')
  return (key) =>
    new Promise((resolve, reject) => {
      const done = (error, info) => (error ? reject(error) : resolve(info))
      store.incr(key, done, WINDOW_MS, COUNT)
    })
}
