// A worker: waits for the others, then makes its share of the calls. Reports how many were admitted.
import { parentPort, workerData } from 'node:worker_threads'
import { FakeClock, RateLimiter } from 'ratethrottle'

const { name, limits, algorithm, capacity, checks, others, gate, threads, thread } = workerData
const clock = new FakeClock(1_000_000)
const hot = new RateLimiter(limits, { name, algorithm, capacity, clock })
// The same limiter with a clock that moves, but stays inside the hot key's window.
const moving = new FakeClock(1_000_000)
const cold = new RateLimiter(limits, { name, algorithm, capacity, clock: moving })

Atomics.add(gate, 0, 1)
while (Atomics.load(gate, 0) < threads);

let admitted = 0
for (let i = 0; i < checks; i++) {
  if (hot.allow('hot')) admitted++
  if (i < others) {
    cold.allow(`${thread}:${i}`)
    if (i % 100 === 0) moving.advance(1)
  }
}
parentPort.postMessage({ admitted, evictions: hot.stats().evictions })
