// Ten million calls: node --expose-gc allow.mjs. Prints by how much the heap grew, in bytes, before any collection.
import { RateLimiter } from 'ratethrottle'

const limiter = new RateLimiter('1000000/minute')
const keys = Array.from({ length: 1_000 }, (_, i) => `user:${i}`)
function calls(count) {
  let admitted = 0
  for (let i = 0; i < count; i++) if (limiter.allow(keys[i % keys.length])) admitted++
  return admitted
}
calls(1_000_000)
globalThis.gc()
const before = process.memoryUsage().heapUsed
const admitted = calls(10_000_000)
console.log(JSON.stringify({ grown: process.memoryUsage().heapUsed - before, admitted }))
