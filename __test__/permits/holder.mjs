/*
 * A process that takes permits and gives them back. Each permit that it has is reported to the parent before it is
 * counted on, and its end before it is given back: so the parent's count is never more than what is held.
 */
import { createConcurrencyLimiter } from 'ratethrottle'

const { storage, limits, leaseMs, callers } = JSON.parse(process.argv[2])
const limiter = createConcurrencyLimiter({
  storage,
  ...limits,
  name: 'held',
  queue: 100,
  leaseMs,
  deadlineMs: 30_000,
})
const waiting = new Map()
let number = 0
let permits = 0
const mine = new Map()

/** Tells the parent, and waits until it knows. The time is read before anything is looked at: it held until then. */
function tell(word, key, permit) {
  number++
  const at = Number(process.hrtime.bigint()) / 1e6
  const has = [...mine].filter(([, { isLost }]) => !isLost).map(([id]) => id)
  const answer = new Promise((resolve) => waiting.set(number, resolve))
  process.send({
    number,
    at,
    word: word === 'out' && !has.includes(permit) ? 'lost' : word,
    key,
    permit,
    has,
  })
  return answer
}

process.on('message', (answered) => {
  waiting.get(answered)?.()
  waiting.delete(answered)
})

for (let caller = 0; caller < callers; caller++) {
  void (async () => {
    for (;;) {
      const key = Math.random() < 0.5 ? 'a' : 'b'
      const permit = await limiter.acquire(key)
      const id = `${permits++}`
      mine.set(id, permit)
      await tell('in', key, id)
      if (Math.random() < 0.2) await new Promise((resolve) => setTimeout(resolve, 2))
      await tell('out', key, id)
      mine.delete(id)
      permit.release()
    }
  })()
}
