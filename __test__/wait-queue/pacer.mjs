// One of several processes that wait for one key: prints when it began, and when each wait was over, on the
// clock of the machine.
import { createLimiter } from 'ratethrottle'

const [storage, waits, gapMs] = process.argv.slice(2)
const redis = storage.startsWith('redis') ? { deadlineMs: 10_000 } : {}
const limits = `${1000 / gapMs}/second`
const limiter = createLimiter({ limits, algorithm: 'leaky-bucket', name: 'p', storage, ...redis })
for (let i = 0; i < 200; i++) {
  const status = await limiter.ready?.()
  if (status === undefined || status.available) break
  await new Promise((resolve) => setTimeout(resolve, 50))
}
await limiter.check('warm')
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
const now = () => Number(process.hrtime.bigint()) / 1e6
const began = now()
const times = []
const wait = async () => {
  await limiter.wait('paced')
  times.push(now())
}
await Promise.all(Array.from({ length: Number(waits) }, wait))
process.stdout.write(`${JSON.stringify([began, ...times])}\n`)
await limiter.close()
process.exit()
