import { RateLimiterCluster, RateLimiterMemory } from 'rate-limiter-flexible'
import { awaitedLoops, burstLoops } from '../loop.mjs'

const SECOND_MS = 1000

/**
 * RateLimiterMemory with `keyPrefix: ''`, which spares it a string per call (by far its dearest
 * step). `inMemoryBlockOnConsumed` is for the limiters with a remote store, and `blockDuration`
 * changes nothing in what a denied call does, so neither is set.
 */
export function createConsume(limit) {
  const limiter = open(limit)
  return peer(limiter, (key) => limiter.consume(key))
}

/**
 * Asks `get` before it consumes, so that a denial rejects no promise: dearer when admitted,
 * cheaper when denied. The package's documentation does this around failed logins only.
 */
export function createGetFirst(limit) {
  const limiter = open(limit)
  const exhausted = (held) => held !== null && held.consumedPoints >= limiter.points
  return peer(limiter, (key) =>
    limiter.get(key).then((held) => (exhausted(held) ? null : limiter.consume(key))),
  )
}

/** The state is in the cluster's primary, which needs a `RateLimiterClusterMaster`. Asked through IPC. */
export function createCluster({ count, windowMs, name }) {
  const duration = windowMs / SECOND_MS
  const limiter = new RateLimiterCluster({ points: count, duration, keyPrefix: name })
  return { take: (key) => limiter.consume(key).then(() => true, refuses) }
}

const open = ({ count, windowMs }) =>
  new RateLimiterMemory({ points: count, duration: windowMs / SECOND_MS, keyPrefix: '' })

function peer(limiter, ask) {
  const api = { ask, admits: (result) => result !== null, refuses }
  return {
    take: (key) => ask(key).then(api.admits, refuses),
    ways: { awaited: awaitedLoops(api), burst: burstLoops(api) },
    close: () => cancelTimers(limiter),
  }
}

/** A refusal rejects with its result, a failure with an Error: only the first is an answer. */
function refuses(reason) {
  if (reason instanceof Error) throw reason
  return false
}

/** One timer per live key. `dump` is the documented way to list the keys, `delete` ends the timer. */
function cancelTimers(limiter) {
  return Promise.all(limiter.dump().storage.map(({ key }) => limiter.delete(key)))
}
