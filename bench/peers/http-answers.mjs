export const OURS = 'ratethrottle'
/** The same with everything that an insight counts. */
export const SEEN = 'ratethrottle.insight'
/** The server without a limiter that sends by hand the bytes that ratethrottle sends. */
export const BARE = 'bare'
/** The same without the headers of a limiter. */
export const PLAIN = 'plain'

/** What the route answers. */
export const HELLO = { hello: 'world' }

/** A refusal as ratethrottle words it in each framework, for the servers that are answered by hand. */
export const REFUSAL = {
  statusCode: 429,
  code: 'RATE_LIMIT_EXCEEDED',
  error: 'Too Many Requests',
  message: 'Rate limit exceeded, retry in 86400 seconds',
}

/**
 * The headers that the hand-written servers send: constants, with as many digits as a limiter's counts have
 * under `ADMIT` and `DENY`. They stand for no state, so what a limiter adds to them is its own work.
 */
export const ADMITTED_HEADERS = {
  'x-ratelimit-limit': 1_000_000_000,
  'x-ratelimit-remaining': 999_999_999,
  'x-ratelimit-reset': Math.ceil(Date.now() / 1000),
}

export const REFUSED_HEADERS = {
  'x-ratelimit-limit': 1,
  'x-ratelimit-remaining': 0,
  'x-ratelimit-reset': Math.ceil(Date.now() / 1000) + 86_400,
  'retry-after': 86_400,
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** Head and body of a refusal by hand, for a server that writes both itself. */
export const WRITTEN_REFUSAL = written(REFUSAL)

function written(refusal) {
  const body = JSON.stringify(refusal)
  const own = { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body) }
  return { head: { ...REFUSED_HEADERS, ...own }, body }
}
