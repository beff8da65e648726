/*
 * What options of other packages are called here. Users who come from one of them write its names first, and
 * a list of our names would not say which does the same.
 */

const LIMITS = "windowMs and limit are limits: '100/15 minutes' here"
const TIME_WINDOW = "max and timeWindow are limits: '100/minute' here"
const POINTS = "points and duration are limits: '5/second' here"
const HEADERS = "are headers: 'legacy', 'draft', 'both' or false here"
const OUTCOME =
  "countWhen: 'failure' or 'success' here, or a function of the request and its status"
const STORE = "is storage: 'redis://...' here, or a client of ioredis"
const HOOK = 'is onDeny here'

const EXPRESS = 'express-rate-limit'
const FASTIFY = '@fastify/rate-limit'
const FLEXIBLE = 'rate-limiter-flexible'

/** By name: the package that has it, and what it is here. */
const FOREIGN: ReadonlyMap<string, readonly [owner: string, here: string]> = new Map([
  ['windowMs', [EXPRESS, LIMITS]],
  ['limit', [EXPRESS, LIMITS]],
  ['max', [`${EXPRESS}'s and ${FASTIFY}`, "max is limits: '100/15 minutes' here"]],
  ['statusCode', [EXPRESS, 'statusCode is status here']],
  ['standardHeaders', [EXPRESS, `standardHeaders and legacyHeaders ${HEADERS}`]],
  ['legacyHeaders', [EXPRESS, `standardHeaders and legacyHeaders ${HEADERS}`]],
  ['identifier', [EXPRESS, 'identifier is policy here, the name of a limit in draft headers']],
  ['retryAfter', [EXPRESS, 'retryAfter is not to be set here: Retry-After is computed, and true']],
  ['store', [EXPRESS, `store ${STORE}`]],
  ['passOnStoreError', [EXPRESS, "passOnStoreError is onStoreError: 'open' here"]],
  [
    'keyGenerator',
    [EXPRESS, 'keyGenerator is key here: key: (request) => ..., byIp() or byUser(...)'],
  ],
  ['ipv6Subnet', [EXPRESS, 'ipv6Subnet is key: byIp({ ipv6: 56 }) here']],
  ['requestPropertyName', [EXPRESS, 'requestPropertyName is always rateLimit here']],
  ['skipSuccessfulRequests', [EXPRESS, `skipSuccessfulRequests is ${OUTCOME}`]],
  ['skipFailedRequests', [EXPRESS, `skipFailedRequests is ${OUTCOME}`]],
  ['requestWasSuccessful', [EXPRESS, `requestWasSuccessful is ${OUTCOME}`]],
  ['onLimitReached', [EXPRESS, `onLimitReached ${HOOK}`]],
  ['validate', [EXPRESS, 'validate has no match here: checks are warnings, each told once']],
  ['logger', [EXPRESS, 'logger has no match here: use onError, onDeny or process.on("warning")']],
  ['delayAfter', ['express-slow-down', "delayAfter and delayMs are slowDown: '2 seconds' here"]],
  ['delayMs', ['express-slow-down', "delayAfter and delayMs are slowDown: '2 seconds' here"]],
  ['timeWindow', [FASTIFY, TIME_WINDOW]],
  ['global', [FASTIFY, 'global: false is no limits here: register the plugin without limits']],
  ['ban', [FASTIFY, "ban is blockFor: ['1 minute', '1 hour'] here"]],
  ['cache', [FASTIFY, 'cache is capacity here']],
  [
    'allowList',
    [FASTIFY, "allowList is allow: '10.0.0.0/8' for addresses here, else skip: (request) => ..."],
  ],
  [
    'whitelist',
    [FASTIFY, "whitelist is allow: '10.0.0.0/8' for addresses here, else skip: (request) => ..."],
  ],
  ['blacklist', ['koa-ratelimit', "blacklist is deny: '192.0.2.1' here"]],
  ['redis', [FASTIFY, `redis ${STORE}`]],
  ['nameSpace', [FASTIFY, 'nameSpace is keyPrefix here']],
  ['skipOnError', [FASTIFY, "skipOnError is onStoreError: 'open' here"]],
  ['continueExceeding', [FASTIFY, 'continueExceeding is blockFor here']],
  ['exponentialBackoff', [FASTIFY, "exponentialBackoff is blockFor: ['1 minute', '1 hour'] here"]],
  ['groupId', [FASTIFY, 'groupId is scope here']],
  [
    'errorResponseBuilder',
    [FASTIFY, 'errorResponseBuilder is handler or message here, or an error handler of the server'],
  ],
  ['enableDraftSpec', [FASTIFY, "enableDraftSpec is headers: 'draft' here"]],
  ['addHeaders', [FASTIFY, `addHeaders and addHeadersOnExceeding ${HEADERS}`]],
  ['addHeadersOnExceeding', [FASTIFY, `addHeaders and addHeadersOnExceeding ${HEADERS}`]],
  ['onExceeding', [FASTIFY, 'onExceeding is onAdmit here']],
  ['onExceeded', [FASTIFY, `onExceeded ${HOOK}`]],
  ['onBanReach', [FASTIFY, `onBanReach ${HOOK}`]],
  ['points', [FLEXIBLE, POINTS]],
  ['duration', [FLEXIBLE, POINTS]],
  ['blockDuration', [FLEXIBLE, "blockDuration is blockFor: '10 minutes' here"]],
  ['inMemoryBlockOnConsumed', [FLEXIBLE, 'inMemoryBlockOnConsumed is localDenials here']],
  ['inMemoryBlockDuration', [FLEXIBLE, 'inMemoryBlockDuration is localDenials here']],
  ['inmemoryBlockOnConsumed', [FLEXIBLE, 'inmemoryBlockOnConsumed is localDenials here']],
  ['inmemoryBlockDuration', [FLEXIBLE, 'inmemoryBlockDuration is localDenials here']],
  [
    'execEvenly',
    [FLEXIBLE, "execEvenly is slowDown: '2 seconds' here, or wait(key) of a leaky-bucket limiter"],
  ],
  ['storeClient', [FLEXIBLE, `storeClient ${STORE}`]],
  [
    'insuranceLimiter',
    [FLEXIBLE, "insuranceLimiter is onStoreError: 'local' here, which is the default"],
  ],
  ['ttl', ['@nestjs/throttler', "ttl and limit are limits: '10/minute' here"]],
])

/** What an option of another package is called here, in a sentence; nothing for other names. */
export function foreignOption(name: string): string | undefined {
  const found = FOREIGN.get(name)
  return found === undefined ? undefined : `${found[0]}'s ${found[1]}`
}
