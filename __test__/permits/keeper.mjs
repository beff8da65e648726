// Holds permits until it is told to end, as a thread or as a process: [limits, options, key, permits] as JSON.
import { parentPort, workerData } from 'node:worker_threads'
import { ConcurrencyLimiter } from '../../dist/index.js'

const { limits, options, key, permits } = workerData ?? JSON.parse(process.argv[2])
const limiter = new ConcurrencyLimiter(limits, options)
const held = Array.from({ length: permits }, () => limiter.tryAcquire(key)).filter(Boolean)
if (parentPort === null) {
  console.log(held.length)
  process.stdin.resume()
} else {
  parentPort.postMessage(held.length)
  // Else the thread would end.
  parentPort.on('message', () => held[0].release())
}
