import { MemoryStore } from 'express-rate-limit'
import { awaitedLoops, burstLoops } from '../loop.mjs'

/** The default store, called as the middleware calls it, and the middleware's comparison. */
export function createMemoryStore({ count, windowMs }) {
  const store = new MemoryStore()
  store.init({ windowMs })
  const api = {
    ask: (key) => store.increment(key),
    admits: (info) => info.totalHits <= count,
    refuses(reason) {
      throw reason
    },
  }
  return {
    take: async (key) => api.admits(await api.ask(key)),
    ways: { awaited: awaitedLoops(api), burst: burstLoops(api) },
    close: () => store.shutdown(),
  }
}
