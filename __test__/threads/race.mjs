// Eight workers on one key: node race.mjs <algorithm> <count> <checks> <others> <prepaid>. Prints the result.
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'
import { FakeClock, RateLimiter } from 'ratethrottle'

const [algorithm, ...numbers] = process.argv.slice(2)
const [count, checks, others, prepaid] = numbers.map(Number)
const THREADS = 8
const binding = createRequire(import.meta.url)('../../crate/napi/binding.cjs')

function race(turn) {
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const limits = [{ count, windowMs: 600_000 }]
  const shared = { name: `race-${turn}`, limits, algorithm, capacity: others > 0 ? 2_000 : 1_000 }
  const clock = new FakeClock(1_000_000)
  const holder = new RateLimiter(limits, {
    name: shared.name,
    algorithm,
    capacity: shared.capacity,
    clock,
  })
  if (prepaid > 0 && !holder.allow('hot', prepaid)) throw new Error('prepaid units were denied')
  const workers = Array.from({ length: THREADS }, (_, thread) => {
    const workerData = { ...shared, checks, others, gate, threads: THREADS, thread }
    const worker = new Worker(new URL('./checker.mjs', import.meta.url), { workerData })
    return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  })
  return Promise.all(workers).finally(() => holder.close())
}

// The count is accepted only if compare-and-swaps were lost: else the threads did not race.
for (let turn = 0; turn < 10; turn++) {
  const before = binding.lostExchanges()
  const results = await race(turn)
  const admitted = results.reduce((sum, result) => sum + result.admitted, 0)
  const lost = binding.lostExchanges() - before
  console.log(JSON.stringify({ admitted, lost, evictions: results[0].evictions }))
  if (admitted + prepaid !== count || lost > 0) break
}
