import express, { type ErrorRequestHandler, type Express, type Request } from 'express'
import {
  byIp,
  byUser,
  firstOf,
  RateLimitExceeded,
  type RateThrottleOptions,
  rateThrottle,
} from 'ratethrottle/express'

/**
 * The complete example of RateThrottle's Flask page, as an Express app, 4 or 5.
 *
 * @param options in place of those below, such as a test's clock
 */
export function buildService(options: RateThrottleOptions = {}): Express {
  const app = express()

  // The counters are in this process, unless RATELIMIT_STORAGE_URL says where else.
  const limiter = rateThrottle({
    key: firstOf(byUser(userOf), byIp()),
    // The exact log, as on that page (RateThrottle calls it sliding_window): never more than the count in
    // any minute. Leave it out for the default, a token bucket, which needs less memory.
    algorithm: 'sliding-log',
    ...options,
  })

  // Public endpoints: strict limits
  app.get('/api/public', limiter.limit('100/minute'), (_request, response) => {
    response.json({ data: 'public' })
  })

  // Authenticated endpoints: higher limits
  app.get('/api/protected', limiter.limit('1000/minute'), (_request, response) => {
    response.json({ data: 'protected' })
  })

  // Expensive operations: very strict
  app.post('/api/report', limiter.limit(['10/minute', '50/hour']), (_request, response) => {
    response.json({ status: 'processing' })
  })

  // Custom error handler: Express knows it by its four arguments, and it comes after the routes
  const tooManyRequests: ErrorRequestHandler = (error, _request, response, next) => {
    if (!(error instanceof RateLimitExceeded)) {
      next(error)
      return
    }
    response.status(429).json({ error: 'Rate limit exceeded', retry_after: error.retryAfter })
  }
  app.use(tooManyRequests)

  return app
}

/** Users that this service knows. */
const USERS: ReadonlySet<string> = new Set(['ada', 'bob', 'eve'])

/**
 * The id of the user; guests have none and are known by their address, and so is who claims an unknown name: a
 * new name for each request would otherwise be a new budget. A demonstration: a real service takes the user
 * from a session or a token that it has verified.
 */
function userOf(request: Request): string | undefined {
  const name = request.get('x-user')
  return name !== undefined && USERS.has(name) ? name : undefined
}

// As a program, CommonJS or ES module, by the name of this file: PORT=3000 node express.js
if (/\bexpress\.[cm]?[jt]s$/.test(process.argv[1] ?? '')) {
  const { PORT = 3000 } = process.env
  buildService().listen(Number(PORT))
}
