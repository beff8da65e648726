import { syncLoops } from '../loop.mjs'

/** The limiters people write themselves: a Map from key to a small record, the time read on each call. */

export const createMapFixed = (limit) => peer(fixedWindow(limit))
export const createMapSliding = (limit) => peer(slidingWindow(limit))
export const createMapToken = (limit) => peer(tokenBucket(limit))

const peer = (take) => ({ take, ways: { direct: syncLoops(take) }, close() {} })

function fixedWindow({ count, windowMs }) {
  const windows = new Map()
  return (key) => {
    const now = Date.now()
    const window = windows.get(key)
    if (window === undefined || now - window.start >= windowMs) {
      windows.set(key, { start: now, count: 1 })
      return true
    }
    if (window.count >= count) return false
    window.count++
    return true
  }
}

/** Two buckets: what was admitted in the previous window counts by the share of it still in sight. */
function slidingWindow({ count, windowMs }) {
  const windows = new Map()
  return (key) => {
    const now = Date.now()
    const index = Math.floor(now / windowMs)
    let window = windows.get(key)
    if (window === undefined) {
      window = { index, previous: 0, current: 0 }
      windows.set(key, window)
    } else if (window.index !== index) {
      window.previous = window.index === index - 1 ? window.current : 0
      window.current = 0
      window.index = index
    }
    const elapsed = (now - index * windowMs) / windowMs
    if (window.previous * (1 - elapsed) + window.current >= count) return false
    window.current++
    return true
  }
}

function tokenBucket({ count, windowMs }) {
  const buckets = new Map()
  const tokensPerMs = count / windowMs
  return (key) => {
    const now = Date.now()
    let bucket = buckets.get(key)
    if (bucket === undefined) {
      bucket = { tokens: count, updated: now }
      buckets.set(key, bucket)
    } else {
      bucket.tokens = Math.min(count, bucket.tokens + (now - bucket.updated) * tokensPerMs)
      bucket.updated = now
    }
    if (bucket.tokens < 1) return false
    bucket.tokens -= 1
    return true
  }
}
