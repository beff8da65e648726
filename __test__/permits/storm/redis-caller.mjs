// A process of a storm in Redis: callers who take permits and give them back, many at a time, until it is killed.
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { createConcurrencyLimiter } from 'ratethrottle'
import { Diary, now } from './diary.mjs'

const { storage, limits, name, keys, leaseMs, callers, diary: path } = JSON.parse(process.argv[2])
const diary = new Diary(path)
// The parent has gone.
process.on('disconnect', () => process.exit())

/** Counts what the store refused itself: an answer that it gave, and no permit. */
let answers = 0
const counter = { decided() {}, queued() {}, gaveUp() {}, withoutStore() {}, close() {} }
const insight = {
  counter: () => ({ ...counter, waited: () => diary.waited(), storeTook: () => answers++ }),
  shielded() {},
}
const shared = { storage, name, ...limits, leaseMs, deadlineMs: 5_000, onError: 'closed', insight }
const hasty = createConcurrencyLimiter(shared)
const patient = createConcurrencyLimiter({ ...shared, queue: 1_000 })

/** Most permits come back in the next turn; some stay for a while, and those of some callers for longer than a lease. */
async function hold(isLong) {
  if (isLong) return sleep(leaseMs * 1.3)
  const ms = Math.random() * 6
  return ms < 3 ? turn() : sleep(ms - 2)
}

async function call(limiter, caller, isLong = false) {
  for (;;) {
    const key = Math.floor(Math.random() * keys)
    const since = now()
    const permit = await limiter.enter(`key ${key}`)
    if (permit.release === undefined) {
      await sleep(1)
      continue
    }
    diary.taken(caller, key, since, now())
    answers--
    await hold(isLong)
    const at = now()
    diary.released(caller, key, permit.isLost, at)
    permit.release()
    for (; answers > 0; answers--) diary.refused()
  }
}

let caller = 0
for (let i = 0; i < callers.hasty; i++) void call(hasty, caller++)
for (let i = 0; i < callers.patient; i++) void call(patient, caller++)
for (let i = 0; i < callers.long; i++) void call(patient, caller++, true)
