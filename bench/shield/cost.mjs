// What the shield adds to a request, beside one check of a limiter: node bench/shield/cost.mjs [rounds]
//
// Nanoseconds a call, the median of the rounds; both take turns in one process, with the same texts of addresses in the
// same order. `decide + settle` is what a request of status 200 costs, `failed` the same if one in ten is a 404. At ten million sources each
// address is new to both: their tables turn over. The quotient is the median of the rounds' quotients.
import { RateLimiter } from 'ratethrottle'
import { shield } from 'ratethrottle/shield'

const ROUNDS = Number(process.argv[2] ?? 15)
const CALLS = 200_000
const SOURCES = [1, 10_000, 60_000, 10_000_000]
const GOAL = 1.5
/** Never reached. */
const RATE = '1000000000/second'

const guard = () => shield({ mode: 'enforce', maxRate: RATE, ceiling: RATE })
const limiter = () => new RateLimiter(RATE, { capacity: 65_536 })

function address(n) {
  return `${10 + (n >>> 24)}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`
}

/** The requests of one round: the sources in turns, or the next new ones. */
function requests(sources, round) {
  const first = sources > CALLS ? round * CALLS : 0
  const few = Array.from({ length: Math.min(sources, CALLS) }, (_, i) => ({
    ip: address(first + i),
    path: '/a',
    sensitive: false,
  }))
  return Array.from({ length: CALLS }, (_, i) => few[i % few.length])
}

function timed(all, call) {
  const since = process.hrtime.bigint()
  let allowed = 0
  for (let i = 0; i < all.length; i++) if (call(all[i])) allowed++
  const ns = Number(process.hrtime.bigint() - since) / all.length
  // A refusal would be something else than what is measured.
  if (allowed !== all.length) throw new Error(`${all.length - allowed} calls were refused`)
  return ns
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
}

function measure(sources) {
  const [ours, failing, theirs] = [guard(), guard(), limiter()]
  const subjects = {
    check: ({ ip }) => theirs.check(ip).allowed,
    shield: (request) => {
      const { allowed } = ours.decide(request)
      ours.settle(request, 200)
      return allowed
    },
    failed: (request) => {
      const { allowed } = failing.decide(request)
      // Nearly one in ten.
      failing.settle(request, request.ip.endsWith('7') ? 404 : 200)
      return allowed
    },
  }
  const names = Object.keys(subjects)
  const times = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = -2; round < ROUNDS; round++) {
    const all = requests(sources, round + 2)
    // Whoever comes first in a round has the texts cold.
    for (const turn of names.keys()) {
      const name = names[(turn + round + names.length * 2) % names.length]
      const ns = timed(all, subjects[name])
      if (round >= 0) times[name].push(ns)
    }
  }
  for (const one of [ours, failing, theirs]) one.close()
  const quotient = (name) => median(times[name].map((ns, i) => ns / times.check[i]))
  return { sources, ...Object.fromEntries(names.map((n) => [n, median(times[n])])), quotient }
}

console.log('| sources | check | decide + settle | one in ten fails | quotient |')
console.log('| --- | --- | --- | --- | --- |')
let worst = 0
for (const sources of SOURCES) {
  const { check, shield: ours, failed, quotient } = measure(sources)
  worst = Math.max(worst, quotient('shield'))
  const figures = [check, ours, failed].map((ns) => `${ns.toFixed(0)} ns`)
  console.log(`| ${[sources, ...figures, quotient('shield').toFixed(2)].join(' | ')} |`)
}
console.log(`\nworst: ${worst.toFixed(2)} times a check; the goal is at most ${GOAL}`)
