/** What the route answers. */
export const HELLO = { hello: 'world' }

/** A refusal as the plugins word theirs, for the servers that are answered by hand. */
export const REFUSAL = {
  statusCode: 429,
  error: 'Too Many Requests',
  message: 'Rate limit exceeded, retry in 1 day',
}
