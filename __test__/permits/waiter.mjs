// A caller waits for a permit that ends by itself, and nothing else keeps the process.
import { ConcurrencyLimiter } from 'ratethrottle'

const limiter = new ConcurrencyLimiter(1, { queue: 1, maxHoldMs: 50 })
limiter.tryAcquire('k')
limiter.acquire('k').then(() => console.log('admitted'))
