// Workers that are terminated at random while they hammer one limiter: node churn.mjs <workers> <addon in main: 0|1>
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

const [, , workers, inMain] = process.argv
const limiter = async () => {
  const { RateLimiter } = await import('ratethrottle')
  return new RateLimiter('1000/hour', { name: 'churn', algorithm: 'fixed-window' })
}
const holder = inMain === '1' ? await limiter() : undefined
const code = `
  const { RateLimiter } = require('ratethrottle')
  const named = new RateLimiter('1000/hour', { name: 'churn', algorithm: 'fixed-window' })
  const own = new RateLimiter('5/s', { blockFor: 1 })
  require('node:worker_threads').parentPort.postMessage('ready')
  for (let i = 0; ; i++) { named.allow('hot'); named.check('k' + i); own.allow('k' + (i % 9)) }`

for (let started = 0; started < Number(workers); started += 4) {
  const group = Array.from({ length: 4 }, () => new Worker(code, { eval: true }))
  await Promise.all(
    group.map(async (worker) => {
      if (Math.random() < 0.8) await new Promise((resolve) => worker.once('message', resolve))
      await sleep(Math.random() * 5)
      await worker.terminate()
    }),
  )
}
// Everything that was admitted on the hot key still counts where a limiter kept the state.
const last = holder ?? (await limiter())
console.log(last.peek('hot').remaining)
