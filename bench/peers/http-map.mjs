import { REFUSAL } from './http-answers.mjs'

/** The hook people write themselves: a fixed window per address, in a Map that forgets nobody. */

export function createHook(limit) {
  const hit = countInto(limit)
  return (request, reply, done) => {
    const { used, endMs } = hit(request.ip)
    reply.header('x-ratelimit-limit', limit.count)
    reply.header('x-ratelimit-remaining', Math.max(0, limit.count - used))
    reply.header('x-ratelimit-reset', Math.ceil(endMs / 1000))
    if (used <= limit.count) return done()
    reply.header('retry-after', secondsUntil(endMs)).code(429).send(REFUSAL)
  }
}

export function createMiddleware(limit) {
  const hit = countInto(limit)
  return (request, response, next) => {
    const { used, endMs } = hit(request.ip)
    response.setHeader('X-RateLimit-Limit', limit.count)
    response.setHeader('X-RateLimit-Remaining', Math.max(0, limit.count - used))
    response.setHeader('X-RateLimit-Reset', Math.ceil(endMs / 1000))
    if (used <= limit.count) return next()
    response.setHeader('Retry-After', secondsUntil(endMs))
    response.status(429).json(REFUSAL)
  }
}

function countInto({ windowMs }) {
  const windows = new Map()
  return (key) => {
    const now = Date.now()
    let window = windows.get(key)
    if (window === undefined || now >= window.endMs) {
      window = { used: 0, endMs: now + windowMs }
      windows.set(key, window)
    }
    window.used++
    return window
  }
}

const secondsUntil = (endMs) => Math.ceil((endMs - Date.now()) / 1000)
