import { readTask, serveLane } from '../lane.mjs'
import { openSubject } from '../peers/redis.mjs'

const KEYS = 1_000
const WARM_MS = 500
/** Latencies kept of a round: enough for its 99th percentile, and few enough to cost nothing. */
const SAMPLES = 100_000

const { subject, port, inFlight, auto } = readTask()
const keys = Array.from({ length: KEYS }, (_, i) => `user:${i}`)
const opening = openSubject(subject, port, auto)

serveLane({ warm: () => fire(WARM_MS), fire: ({ ms }) => fire(ms) })

/** So many callers at once, each asking again as soon as it has its answer. */
async function fire(ms) {
  const { take } = await opening
  const state = { asked: 0, times: [], end: performance.now() + ms }
  const start = performance.now()
  await Promise.all(Array.from({ length: inFlight }, () => work(take, state)))
  const seconds = (performance.now() - start) / 1_000
  const times = Float64Array.from(state.times).sort()
  return {
    opsPerSec: state.asked / seconds,
    p50Us: percentile(times, 0.5) * 1_000,
    p99Us: percentile(times, 0.99) * 1_000,
  }
}

/** One call in eight is timed: reading the clock costs as much as some answers do. */
async function work(take, state) {
  while (true) {
    const key = keys[state.asked++ % KEYS]
    const isTimed = state.asked % 8 === 0
    const start = isTimed ? performance.now() : 0
    await take(key)
    if (!isTimed) continue
    const now = performance.now()
    if (state.times.length < SAMPLES) state.times.push(now - start)
    if (now > state.end) return
  }
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}
