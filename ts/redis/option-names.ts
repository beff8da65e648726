/** Names of the options that a limiter in Redis has beside those of every limiter, but for where Redis is. */
export const REDIS_OPTIONS: readonly string[] = [
  'keyPrefix',
  'onError',
  'deadlineMs',
  'connectTimeoutMs',
  'localDenials',
  'lease',
  'processes',
  'onStoreChange',
]
