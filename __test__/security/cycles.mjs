// Makes and closes thousands of limiters, as an app under test does: what does each of them leave behind?
import { rateThrottle } from 'ratethrottle/http'

const CYCLES = Number(process.argv[2])
const options = {
  limits: ['5/day', '9/year'],
  blockFor: ['1 minute', '1 hour'],
  countWhen: 'failure',
}

function cycle(i) {
  const limiter = rateThrottle({ ...options, deny: ['10.0.0.0/8'], key: () => `k${i}` })
  const socket = { remoteAddress: '127.0.0.1', destroyed: false }
  const response = { setHeader() {}, once() {}, off() {} }
  limiter.admit({ method: 'GET', url: '/', headers: {}, socket }, response)
  limiter.close()
}

async function cycles() {
  for (let i = 0; i < CYCLES; i++) {
    cycle(i)
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  gc()
  gc()
  return process.memoryUsage().rss / 2 ** 20
}

function handles() {
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout')
  const listeners = process.eventNames().map((name) => process.listenerCount(name))
  return listeners.reduce((sum, count) => sum + count, timers.length)
}

const atStart = handles()
// What the allocator keeps for the next time is there after the first rounds, and comes and goes.
await cycles()
await cycles()
const least = async () => Math.min(await cycles(), await cycles(), await cycles())
const before = await least()
console.log(JSON.stringify({ grownMb: (await least()) - before, handles: handles() - atStart }))
