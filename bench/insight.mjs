// What an insight adds to a decision: node bench/insight.mjs [rounds]
//
// Nanoseconds a call of `allow`, medians of rounds in which the limiters take turns in one process, over the same
// texts of keys in the same order. `counts` has counters and series alone (top: 0), `keys` the tables of keys too.
// Keys come in random order: by Zipf's law (exponent 1.1), all alike, or each once.
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'

const ROUNDS = Number(process.argv[2] ?? 15)
const CALLS = 200_000
const RATE = '1000000000/hour'
const GOALS = { counts: 6, keys: 25 }

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]

/** Ranks from 0 on, the first drawn most often. */
function zipf(keys) {
  const sums = new Float64Array(keys)
  let sum = 0
  for (let rank = 0; rank < keys; rank++) {
    sum += (rank + 1) ** -1.1
    sums[rank] = sum
  }
  return () => {
    const at = Math.random() * sum
    let [low, high] = [0, keys - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }
}

function orders(keys) {
  if (keys === 1) return { one: () => 0 }
  let next = 0
  return {
    zipf: zipf(keys),
    alike: () => Math.floor(Math.random() * keys),
    ...(keys > CALLS ? { once: () => next++ % keys } : {}),
  }
}

function timed(limiter, texts) {
  const since = process.hrtime.bigint()
  let denied = 0
  for (let i = 0; i < texts.length; i++) if (!limiter.allow(texts[i])) denied++
  const ns = Number(process.hrtime.bigint() - since) / texts.length
  if (denied > 0) throw new Error(`${denied} calls were denied`)
  return ns
}

function measure(name, keys, draw) {
  const views = { counts: insight({ top: 0 }), keys: insight(), plain: insight({ keys: 'plain' }) }
  const limiters = { off: new RateLimiter(RATE, { capacity: 1_000_000 }) }
  for (const [name, view] of Object.entries(views)) {
    limiters[name] = new RateLimiter(RATE, { capacity: 1_000_000, insight: view })
  }
  const names = Object.keys(limiters)
  const times = Object.fromEntries(names.map((one) => [one, []]))
  for (let round = -2; round < ROUNDS; round++) {
    const texts = Array.from({ length: CALLS }, () => `user:${draw()}`)
    for (const turn of names.keys()) {
      const one = names[(turn + round + names.length) % names.length]
      const ns = timed(limiters[one], texts)
      if (round >= 0) times[one].push(ns)
    }
  }
  const added = (one) => median(times[one].map((ns, i) => ns - times.off[i])).toFixed(1)
  const columns = [name, keys, median(times.off).toFixed(1), ...names.slice(1).map(added)]
  console.log(`| ${columns.join(' | ')} |`)
  for (const one of Object.values(limiters)) one.close()
  for (const view of Object.values(views)) view.close()
}

console.log(`Node ${process.version}; goals: counts ${GOALS.counts} ns, keys ${GOALS.keys} ns\n`)
console.log('| order | keys | off, ns | counts + | keys + | keys, plain + |')
console.log('| --- | --- | --- | --- | --- | --- |')
for (const keys of [1, 100, 10_000, 1_000_000]) {
  for (const [name, draw] of Object.entries(orders(keys))) measure(name, keys, draw)
}
