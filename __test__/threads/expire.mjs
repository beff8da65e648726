// Other keys expire around a hot key: node expire.mjs <algorithm> <count>. Prints the result.
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { FakeClock, RateLimiter } from 'ratethrottle'

const [, , algorithm, text] = process.argv
const count = Number(text)
const binding = createRequire(import.meta.url)('../../crate/napi/binding.cjs')
const limits = [{ count, windowMs: 600_000 }]
const options = { name: 'expire', algorithm, capacity: 2_000 }
// The others start several windows before the hot key's instant and end inside its window.
const holder = new RateLimiter(limits, { ...options, clock: new FakeClock(10_000_000) })
holder.allow('hot', 50)
const gate = new Int32Array(new SharedArrayBuffer(4))
const code = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { limits, options, gate, thread } = workerData
  const { FakeClock, RateLimiter } = require('ratethrottle')
  const clock = new FakeClock(thread < 4 ? 10_000_000 : 200_000)
  const limiter = new RateLimiter(limits, { ...options, clock })
  Atomics.add(gate, 0, 1)
  while (Atomics.load(gate, 0) < 8);
  let admitted = 0
  if (thread < 4) for (let i = 0; i < 1_000_000; i++) { if (limiter.allow('hot')) admitted++ }
  else for (let i = 0; i < 25_000; i++) { limiter.allow(thread + ':' + i); clock.advance(400) }
  parentPort.postMessage(admitted)`
const before = binding.lostExchanges()
const admitted = await Promise.all(
  Array.from({ length: 8 }, (_, thread) => {
    const worker = new Worker(code, { eval: true, workerData: { limits, options, gate, thread } })
    return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  }),
)
const lost = binding.lostExchanges() - before
const { evictions } = holder.stats()
console.log(JSON.stringify({ admitted: admitted.reduce((a, b) => a + b), lost, evictions }))
