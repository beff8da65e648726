// Holds a permit, and says when it is asked whether it still does.
import { createConcurrencyLimiter } from 'ratethrottle'

const [storage, leaseMs] = process.argv.slice(2)
const ofStore = leaseMs === undefined ? {} : { leaseMs: Number(leaseMs), deadlineMs: 30_000 }
const limiter = createConcurrencyLimiter({ storage, perKey: 2, name: 'held', ...ofStore })
const permit = await limiter.acquire('k')
process.send('it is held')
process.on('message', () => {
  process.send(permit.isLost)
  permit.release()
})
