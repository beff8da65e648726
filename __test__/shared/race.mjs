// One of several processes on one key, with a worker thread beside: node race.mjs <name> <algorithm> <count> <clock>
import { createRequire } from 'node:module'
import { isMainThread, Worker } from 'node:worker_threads'

const [name, algorithm, count, clock] = process.argv.slice(2)
const CHECKS = Math.max(2_000, Number(count))
const YEAR_MS = 365 * 86_400_000
const FIXED_MS = 5_000_000
const binding = createRequire(import.meta.url)('../../crate/napi/binding.cjs')

// A window so long that the real clock frees nothing during the race.
const windowMs = algorithm === 'sliding-log' || algorithm === 'fixed-window' ? 86_400_000 : YEAR_MS
const native = binding.open({
  counts: [Number(count)],
  windowsMs: [windowMs],
  algorithm,
  blockForMs: 0,
  capacity: 1_000,
  name,
  shared: true,
})

function race() {
  let admitted = 0
  for (let i = 0; i < CHECKS; i++) {
    const objection = clock === 'fixed' ? native.allow('hot', 1, FIXED_MS) : native.allow('hot')
    if (objection === undefined) admitted++
  }
  return admitted
}

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) })
  const theirs = new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject))
  const ours = race()
  console.log(ours + (await theirs))
} else {
  const { parentPort } = await import('node:worker_threads')
  parentPort.postMessage(race())
}
