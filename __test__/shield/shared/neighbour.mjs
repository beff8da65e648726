// A process, a cluster worker or a thread with a shield that others use too: node neighbour.mjs <options as JSON>.
// Makes the calls that it is sent, and answers each with what came of it.
import { parentPort, workerData } from 'node:worker_threads'
import { shield } from 'ratethrottle/shield'

const port = parentPort ?? process
const answer = (value) =>
  parentPort === null ? process.send(value) : parentPort.postMessage(value)
const warnings = []
process.on('warning', ({ code }) => warnings.push(code))

const calls = {
  block: (ip, ms) => guard.block(ip, ms),
  pardon: (ip) => guard.pardon(ip),
  isBlocked: (ip) => guard.isBlocked(ip),
  decide: (ip, times) => Array.from({ length: times }, () => guard.decide({ ip })).at(-1),
  fail: (ip, paths) => {
    for (const path of paths) {
      guard.decide({ ip, path })
      guard.settle({ ip, path }, 404)
    }
    return guard.isBlocked(ip)
  },
  state: () => guard.state(),
  top: () => guard.top(),
  warnings: () => warnings,
  // Stands still for a while, in the middle of asking.
  spin: (ip, ms) => {
    for (const end = Date.now() + ms; Date.now() < end; ) guard.decide({ ip })
    return 'spun'
  },
  close: () => guard.close(),
}

let guard
try {
  guard = shield(workerData ?? JSON.parse(process.argv[2]))
  setImmediate(() => answer('ready'))
  port.on('message', ([name, ...args]) => answer({ value: calls[name](...args) }))
} catch ({ code, message }) {
  answer({ code, message })
}
