import { BARE, PLAIN } from './http-answers.mjs'

/** Of several frameworks only the one that is measured gets loaded. */
const STARTERS = {
  node: async () => (await import('./node-apps.mjs')).startNode,
  fastify: async () => (await import('./fastify-apps.mjs')).startFastify,
  express: async () => (await import('./express-apps.mjs')).startExpress,
}

/**
 * Starts the server of a case such as `fastify-deny` on a port of this machine. Nothing is denied without a
 * limiter: the servers that have none refuse by hand there.
 */
export async function startServer({ framework, subject, isDenied, limit }) {
  const start = await STARTERS[framework]()
  const refuses = isDenied && isByHand(subject)
  return start({ subject, limit, refuses, host: '127.0.0.1' })
}

export const isByHand = (subject) => subject === BARE || subject === PLAIN
