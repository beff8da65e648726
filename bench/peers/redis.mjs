import assert from 'node:assert/strict'
import RedisStore from '@fastify/rate-limit/store/RedisStore.js'
import { Redis } from 'ioredis'
import { RedisStore as ExpressStore } from 'rate-limit-redis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { RedisLimiter } from 'ratethrottle/redis'

const COUNT = 100_000_000
const WINDOW_MS = 3_600_000
/** A busy machine is no outage: what is measured here is speed. */
const DEADLINE_MS = 10_000

/**
 * The least that a limiter's script can do: one bucket (GCRA) as one number, the server's clock, and an answer of
 * two numbers. The caller's clock would be cheaper, and wrong as soon as two callers' clocks differ.
 */
const BARE_GCRA = `
local full = tonumber(redis.call('GET', KEYS[1]) or 0)
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local each, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
if full < now then full = now end
local owed = full + each - now
if owed > depth then return { 0, 0 } end
redis.call('SET', KEYS[1], full + each, 'PX', math.ceil(owed / 1000))
return { 1, math.floor((depth - owed) / each) }
`

/** The subject that is the floor for what a limiter asks of Redis. */
export const BARE_SCRIPT = 'bare-gcra'

/** Each subject opens its own connection and answers a function that charges a key one unit. */
const SUBJECTS = {
  ping: async (client) => () => client.ping(),
  'incr-pexpire': async (client) => (key) =>
    client.multi().incr(key).pexpire(key, WINDOW_MS).exec(),
  [BARE_SCRIPT]: bareGcra,
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

/** As an ioredis user would run it: by the script's hash, on the same kind of client as the limiters. */
async function bareGcra(client) {
  const depthMicros = WINDOW_MS * 1_000
  client.defineCommand('gcra', { numberOfKeys: 1, lua: BARE_GCRA })
  await assertLimits((key) => client.gcra(key, depthMicros / 2, depthMicros), client)
  return async (key) => (await client.gcra(key, depthMicros / COUNT, depthMicros))[0] === 1
}

/** Two an hour are admitted, and no third. */
async function assertLimits(charge, client) {
  await client.del('probe')
  const answers = [await charge('probe'), await charge('probe'), await charge('probe')]
  assert.deepEqual(answers, [
    [1, 1],
    [1, 0],
    [0, 0],
  ])
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
