// An export of which each user runs two at a time, and all users together three. Run it: node examples/concurrency.mjs
// Set RATELIMIT_STORAGE_URL, such as to redis://127.0.0.1:6379/0, to share the permits among processes.
import { setTimeout as sleep } from 'node:timers/promises'
import { ConcurrencyExceeded, createConcurrencyLimiter } from 'ratethrottle'

const exports = createConcurrencyLimiter({
  perKey: 2,
  total: 3,
  queue: 1,
  maxWaitMs: 5_000,
  name: 'exports',
})
await exports.ready()

let running = 0
let most = 0

async function exportOf(user) {
  const permit = await exports.acquire(user)
  try {
    running++
    most = Math.max(most, running)
    await sleep(50)
    return 'done'
  } finally {
    running--
    permit.release()
  }
}

const asked = ['alice', 'alice', 'alice', 'alice', 'bob', 'bob'].map(async (user) => {
  try {
    return `${user}: ${await exportOf(user)}`
  } catch (error) {
    if (!(error instanceof ConcurrencyExceeded)) throw error
    return `${user}: too many at a time`
  }
})
for (const line of await Promise.all(asked)) console.log(line)
console.log(`at most ${most} at a time`)
await exports.close()
