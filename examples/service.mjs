import Fastify from 'fastify'
import { RateLimitExceeded } from 'ratethrottle'
import rateThrottle from 'ratethrottle/fastify'

/**
 * The complete example of RateThrottle's Flask page, as a Fastify service.
 *
 * @param {object} [options] options for Fastify itself
 */
export async function buildService(options = {}) {
  const app = Fastify(options)
  // The exact log, as on that page (RateThrottle calls it sliding_window): never more than the count in
  // any minute. Leave the algorithm out for the default, a token bucket, which needs less memory.
  await app.register(rateThrottle, { key: userOrAddress, algorithm: 'sliding-log' })

  // Custom error handler
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof RateLimitExceeded)) return reply.send(error)
    return reply.code(429).send({ error: 'Rate limit exceeded', retry_after: error.retryAfter })
  })

  // Public endpoints: strict limits
  app.get('/api/public', { config: { rateLimit: '100/minute' } }, () => ({ data: 'public' }))

  // Authenticated endpoints: higher limits
  app.get('/api/protected', { config: { rateLimit: '1000/minute' } }, () => ({ data: 'protected' }))

  // Expensive operations: very strict
  app.post('/api/report', { config: { rateLimit: ['10/minute', '50/hour'] } }, () => ({
    status: 'processing',
  }))

  return app
}

/**
 * The user's id for users, the address for guests. A demonstration: a real service takes the user from
 * a session or a token that it has verified, never from a header that anybody can write.
 */
function userOrAddress(request) {
  const user = request.headers['x-user']
  return user === undefined ? `ip:${request.ip}` : `user:${user}`
}
