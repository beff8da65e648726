// One process that shares: node act.mjs <JSON>. Prints how much it admitted, or why there was no limiter.
import { RateLimiter } from 'ratethrottle'

const { limits, options, checks = 0, key = 'k', uid, stay = false } = JSON.parse(process.argv[2])
if (uid !== undefined) {
  process.setgid(uid)
  process.setuid(uid)
}
const warnings = []
process.on('warning', ({ code }) => warnings.push(code))
const told = (result) => console.log(JSON.stringify({ ...result, warnings }))

try {
  const limiter = new RateLimiter(limits, { shared: true, ...options })
  const admitted = Array.from({ length: checks }, () => limiter.allow(key)).filter(Boolean).length
  // Warnings are emitted in the next turn.
  setTimeout(() => told({ admitted, storage: limiter.storage }), 10)
  if (stay) process.stdin.resume()
} catch ({ code, name, message }) {
  told({ code, name, message })
}
