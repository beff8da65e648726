// Prints by how many bytes the heap grows in 100,000 calls about one key, and about many in turn: the median of so many
// stretches, as a collection may fall into a few. Node keeps too little room for the young without a flag to measure it.
import { RateLimiter } from 'ratethrottle'

const CALLS = 100_000
const STRETCHES = 11
const limiter = new RateLimiter('1000000/minute')
const keys = Array.from({ length: 1_000 }, (_, i) => `user:${i}`)
let admitted = 0

function aboutMany() {
  for (let i = 0; i < CALLS; i++) if (limiter.allow(keys[i % keys.length])) admitted++
}

function aboutOne() {
  for (let i = 0; i < CALLS; i++) if (limiter.allow('user:42')) admitted++
}

function growth(calls) {
  for (let i = 0; i < 3; i++) calls()
  const grown = Array.from({ length: STRETCHES }, () => {
    const before = process.memoryUsage().heapUsed
    calls()
    return process.memoryUsage().heapUsed - before
  })
  return grown.sort((a, b) => a - b)[STRETCHES >> 1]
}

console.log(JSON.stringify({ many: growth(aboutMany), one: growth(aboutOne), admitted }))
