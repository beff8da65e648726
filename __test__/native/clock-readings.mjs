// Prints how many calls each pattern made, and how often the addon read its exact clock and its coarse one.
import { createRequire } from 'node:module'
import { RateLimiter } from 'ratethrottle'

const { clockReads } = createRequire(import.meta.url)(process.env.NAPI_RS_NATIVE_LIBRARY_PATH)

const CALLS = 100_000
const [algorithm] = process.argv.slice(2)
const idle = { count: 1_000, windowMs: 1 }
const hour = { count: 1_000, windowMs: 3_600_000 }
const keys = Array.from({ length: 1_000 }, (_, i) => `user:${i}`)
const open = (limits) => new RateLimiter(limits, { algorithm, capacity: keys.length })

/** Calls `ask` with keys in turn, after two calls for each that are not counted. */
function count(ask) {
  for (let i = 0; i < 2 * keys.length; i++) ask(keys[i % keys.length])
  const before = clockReads()
  const start = performance.now()
  for (let i = 0; i < CALLS; i++) ask(keys[(i * 7) % keys.length])
  const ms = performance.now() - start
  const [exact, coarse] = clockReads().map((reads, i) => reads - before[i])
  return { calls: CALLS, exact, coarse, ms }
}

const owing = open(hour)
const twoLimits = open([{ count: 900, windowMs: 60_000 }, hour])
const denied = open({ count: 1, windowMs: 3_600_000 })
const calm = open(idle)
// A few keys are over their limit, some are in debt, most owe nothing.
const mixed = [denied, owing, calm, calm, calm, calm]
const of = (key) => mixed[key.charCodeAt(key.length - 1) % mixed.length]

process.stdout.write(
  JSON.stringify({
    'allow, keys that owe nothing': count((key) => calm.allow(key)),
    'allow, keys in debt': count((key) => owing.allow(key)),
    'allow, keys that are denied': count((key) => denied.allow(key)),
    'allow, all of these by turns': count((key) => of(key).allow(key)),
    check: count((key) => owing.check(key)),
    'check, two limits': count((key) => twoLimits.check(key)),
    'allow, two limits': count((key) => twoLimits.allow(key)),
    peek: count((key) => owing.peek(key)),
  }),
)
