/**
 * Each subject's module is imported only by the process that times it: a rival's code, or a native
 * package that isn't built yet, touches no other row.
 */
const LOADERS = {
  'ratethrottle.allow': async () => (await import('./peers/ratethrottle.mjs')).createAllow,
  'ratethrottle.check': async () => (await import('./peers/ratethrottle.mjs')).createCheck,
  'ratethrottle.shared': async () => (await import('./peers/ratethrottle.mjs')).createShared,
  'ratethrottle.redis': async () => (await import('./peers/ratethrottle.mjs')).createRedis,
  'rate-limiter-flexible.cluster': async () =>
    (await import('./peers/rate-limiter-flexible.mjs')).createCluster,
  permits: async () => (await import('./peers/permits.mjs')).createPermits,
  'permits.total': async () => (await import('./peers/permits.mjs')).createPermitsOfAll,
  'permits.shared': async () => (await import('./peers/permits.mjs')).createSharedPermits,
  noop: async () => (await import('./peers/noop.mjs')).createNoop,
  'map-fixed': async () => (await import('./peers/map.mjs')).createMapFixed,
  'map-sliding': async () => (await import('./peers/map.mjs')).createMapSliding,
  'map-token': async () => (await import('./peers/map.mjs')).createMapToken,
  'rate-limiter-flexible': async () =>
    (await import('./peers/rate-limiter-flexible.mjs')).createConsume,
  'express-rate-limit': async () =>
    (await import('./peers/express-rate-limit.mjs')).createMemoryStore,
  '@fastify/rate-limit': async () =>
    (await import('./peers/fastify-rate-limit.mjs')).createLocalStore,
  'rate-limiter-flexible.get': async () =>
    (await import('./peers/rate-limiter-flexible.mjs')).createGetFirst,
}

/** Answers the subject's `create(limit)`; a subject that can't be loaded ends the run. */
export async function loadSubject(name) {
  try {
    return await LOADERS[name]()
  } catch (cause) {
    throw new Error(
      `subject '${name}' can't be loaded; run \`npm ci\` and \`npm run build\` first (${cause.message})`,
      { cause },
    )
  }
}
