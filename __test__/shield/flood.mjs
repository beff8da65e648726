// A flood from as many distinct sources as asked for: node --expose-gc flood.mjs [sources] [maxRate]. Prints the memory
// before, half-way and after, and what the guard says. Without maxRate there is no pressure: the table turns over.
import { shield } from 'ratethrottle/shield'

const count = Number(process.argv[2] ?? 1_000_000)
const guard = shield({ mode: 'enforce', maxRate: process.argv[3] })

/** The n-th address: IPv4 and IPv6 in turns, none twice below 10^8. */
function address(n) {
  if (n % 2 === 0)
    return `${11 + (n >>> 25)}.${(n >>> 17) & 255}.${(n >>> 9) & 255}.${(n >>> 1) & 255}`
  return `2001:${(n >>> 16).toString(16)}:${(n & 0xffff).toString(16)}::1`
}

function flood(from, until) {
  for (let n = from; n < until; n++) {
    const request = { ip: address(n), path: `/${n}`, sensitive: n % 16 === 0 }
    const { allowed } = guard.decide(request)
    guard.settle(request, allowed ? 404 : 429)
  }
}

/** What the garbage collector does not manage, and what it keeps. */
function memory() {
  globalThis.gc()
  const { rss, heapTotal, heapUsed } = process.memoryUsage()
  return { native: rss - heapTotal, heapUsed }
}

// Every page of the tables is touched, and all code compiled.
flood(0, 400_000)
const before = memory()
flood(400_000, 400_000 + count / 2)
const halfway = memory()
flood(400_000 + count / 2, 400_000 + count)
const after = memory()
const { admitted, refused, blocked, evictions } = guard.state()
const top = guard.top(1_000).length
console.log(JSON.stringify({ before, halfway, after, admitted, refused, blocked, evictions, top }))
