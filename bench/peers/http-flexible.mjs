import { RateLimiterMemory } from 'rate-limiter-flexible'
import { JSON_TYPE, REFUSAL } from './http-answers.mjs'

/**
 * RateLimiterMemory as its README and its wiki page on middlewares show it: `consume` by address,
 * and the README's object of headers, with `Retry-After` for the refused alone and in whole seconds.
 */

export function createHook(limit) {
  const limiter = open(limit)
  return (request, reply, done) => {
    limiter.consume(request.ip).then(
      (result) => {
        reply.headers(headersOf(result, limit))
        done()
      },
      (reason) => {
        if (reason instanceof Error) return done(reason)
        reply.headers(refusalHeadersOf(reason, limit)).code(429).send(REFUSAL)
      },
    )
  }
}

export function createMiddleware(limit) {
  const limiter = open(limit)
  return (request, response, next) => {
    limiter.consume(request.ip).then(
      (result) => {
        response.set(headersOf(result, limit))
        next()
      },
      (reason) => {
        if (reason instanceof Error) return next(reason)
        response.set(refusalHeadersOf(reason, limit)).status(429).json(REFUSAL)
      },
    )
  }
}

/** The same for Node's own server. */
export function createListener(limit, pass) {
  const limiter = open(limit)
  return (request, response) => {
    limiter.consume(request.socket.remoteAddress).then(
      (result) => {
        setAll(response, headersOf(result, limit))
        pass(request, response)
      },
      (reason) => {
        if (reason instanceof Error) throw reason
        response.statusCode = 429
        setAll(response, { ...refusalHeadersOf(reason, limit), 'Content-Type': JSON_TYPE })
        response.end(JSON.stringify(REFUSAL))
      },
    )
  }
}

function setAll(response, headers) {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
}

const open = ({ count, windowMs }) =>
  new RateLimiterMemory({ points: count, duration: windowMs / 1000 })

const headersOf = ({ remainingPoints, msBeforeNext }, { count }) => ({
  'X-RateLimit-Limit': count,
  'X-RateLimit-Remaining': remainingPoints,
  'X-RateLimit-Reset': Math.ceil((Date.now() + msBeforeNext) / 1000),
})

const refusalHeadersOf = (result, limit) => ({
  'Retry-After': Math.ceil(result.msBeforeNext / 1000),
  ...headersOf(result, limit),
})
