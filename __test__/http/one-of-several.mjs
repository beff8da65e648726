// Makes two limiters with one storage and prints the codes of the warnings of this process.
import { setImmediate } from 'node:timers/promises'
import { rateThrottle } from 'ratethrottle/http'

const [, , storage] = process.argv
const codes = []
process.on('warning', ({ code }) => codes.push(code))
const limiters = [1, 2].map((i) =>
  rateThrottle({
    limits: '5/minute',
    scope: `one of several ${i}`,
    ...(storage ? { storage } : {}),
  }),
)
await setImmediate()
for (const limiter of limiters) limiter.close()
console.log(JSON.stringify(codes))
process.exit(0)
