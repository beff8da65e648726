import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { byIp, byUser, firstOf, RateLimitExceeded } from 'ratethrottle'
import rateThrottle from 'ratethrottle/fastify'

type Options = Parameters<typeof rateThrottle>[1]

/**
 * The complete example of RateThrottle's Flask page, as a Fastify service.
 *
 * @param options in place of those below, such as a test's clock
 */
export async function buildService(options: Options = {}): Promise<FastifyInstance> {
  const app = Fastify()

  // The counters are in this process, unless RATELIMIT_STORAGE_URL says where else.
  await app.register(rateThrottle, {
    key: firstOf(byUser(userOf), byIp()),
    // The exact log, as on that page (RateThrottle calls it sliding_window): never more than the count in
    // any minute. Leave it out for the default, a token bucket, which needs less memory.
    algorithm: 'sliding-log',
    ...options,
  })

  // Public endpoints: strict limits
  app.get('/api/public', { config: { rateLimit: '100/minute' } }, () => ({ data: 'public' }))

  // Authenticated endpoints: higher limits
  app.get('/api/protected', { config: { rateLimit: '1000/minute' } }, () => ({ data: 'protected' }))

  // Expensive operations: very strict
  app.post('/api/report', { config: { rateLimit: ['10/minute', '50/hour'] } }, () => ({
    status: 'processing',
  }))

  // Custom error handler
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof RateLimitExceeded)) return reply.send(error)
    return reply.code(429).send({ error: 'Rate limit exceeded', retry_after: error.retryAfter })
  })

  return app
}

/** Users that this service knows. */
const USERS: ReadonlySet<string> = new Set(['ada', 'bob', 'eve'])

/**
 * The id of the user; guests have none and are known by their address, and so is who claims an unknown name: a
 * new name for each request would otherwise be a new budget. A demonstration: a real service takes the user
 * from a session or a token that it has verified.
 */
function userOf(request: FastifyRequest): string | undefined {
  const name = request.headers['x-user']?.toString()
  return name !== undefined && USERS.has(name) ? name : undefined
}

// As a program, CommonJS or ES module, by the name of this file: PORT=3000 node fastify.js
if (/\bfastify\.[cm]?[jt]s$/.test(process.argv[1] ?? '')) {
  const { PORT = 3000 } = process.env
  void buildService().then((app) => app.listen({ port: Number(PORT) }))
}
