// Terminated workers that report what they were admitted: node tally.mjs <workers> <native|map>. Prints the books.
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { FakeClock, RateLimiter } from 'ratethrottle'

const [, , workers, subject] = process.argv
const LIMIT = 1_000_000_000
const options = { name: 'tally', capacity: 1_000 }
const limits = [{ count: LIMIT, windowMs: 3_600_000 }]
const limiter = new RateLimiter(limits, { ...options, clock: new FakeClock(1_000) })
const told = new BigInt64Array(new SharedArrayBuffer(8))
const plain = new Int32Array(new SharedArrayBuffer(4))
const code = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { limits, options, told, plain, subject } = workerData
  const { FakeClock, RateLimiter } = require('ratethrottle')
  const limiter = new RateLimiter(limits, { ...options, clock: new FakeClock(1_000) })
  const allow = subject === 'map' ? () => ++plain[0] > 0 : () => limiter.allow('hot')
  parentPort.postMessage('ready')
  for (;;) if (allow()) Atomics.add(told, 0, 1n)`

for (let started = 0; started < Number(workers); started += 4) {
  const group = Array.from(
    { length: 4 },
    () => new Worker(code, { eval: true, workerData: { limits, options, told, plain, subject } }),
  )
  await Promise.all(
    group.map(async (worker) => {
      if (Math.random() < 0.8) await new Promise((resolve) => worker.once('message', resolve))
      await sleep(Math.random() * 5)
      await worker.terminate()
    }),
  )
}
const charged = subject === 'map' ? plain[0] : LIMIT - limiter.peek('hot').remaining
console.log(JSON.stringify({ charged, told: Number(told[0]) }))
