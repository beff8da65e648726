import LocalStore from '@fastify/rate-limit/store/LocalStore.js'
import { syncLoops } from '../loop.mjs'

/** The plugin's default store through its callback, its LRU made for the keys so that none is evicted. */
export function createLocalStore({ count, windowMs, keys }) {
  const store = new LocalStore(false, false, keys)
  let current = 0
  const receive = (_error, info) => {
    current = info.current
  }
  const take = (key) => {
    store.incr(key, receive, windowMs, count)
    return current <= count
  }
  return { take, ways: { direct: syncLoops(take) }, close() {} }
}
