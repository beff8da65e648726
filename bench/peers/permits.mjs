import { ConcurrencyLimiter } from 'ratethrottle'
import { syncLoops } from '../loop.mjs'

/** A permit taken and given back, which is what a request costs. It is never refused, so there is nothing to decide. */
function open(limits, options) {
  const limiter = new ConcurrencyLimiter(limits, options)
  const take = (key) => {
    const permit = limiter.tryAcquire(key)
    permit?.release()
    return permit !== undefined
  }
  return { take, ways: { direct: syncLoops(take) }, close: () => limiter.close(), decides: false }
}

export const createPermits = () => open({ perKey: 4 })
export const createPermitsOfAll = () => open({ perKey: 4, total: 200 })
export const createSharedPermits = () =>
  open({ perKey: 4, total: 200 }, { name: `bench permits ${process.pid}`, shared: true })
