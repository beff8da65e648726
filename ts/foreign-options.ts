/*
 * What options of other packages are called here. Users who come from one of them try its names first, and
 * a list of our names would not tell them which option does the same.
 */

const LIMITS = "windowMs and limit are limits: '100/15 minutes' here"
const TIME_WINDOW = "max and timeWindow are limits: '100/minute' here"
const POINTS = "points and duration are limits: '5/second' here"
const HEADERS = "are headers: 'legacy', 'draft', 'both' or false here"
const OUTCOME =
  "countWhen: 'failure' or 'success' here, or a function of the request and its status"
const STORE = "is storage: 'redis://...' here, or a client of ioredis"
const HOOK = 'is onDeny here'

/** By package, and by name there: what the option is here. */
const FOREIGN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'express-rate-limit': {
    windowMs: LIMITS,
    limit: LIMITS,
    statusCode: 'statusCode is status here',
    standardHeaders: `standardHeaders and legacyHeaders ${HEADERS}`,
    legacyHeaders: `standardHeaders and legacyHeaders ${HEADERS}`,
    identifier: 'identifier is policy here, the name of a limit in draft headers',
    retryAfter: 'retryAfter is not to be set here: Retry-After is computed, and true',
    store: `store ${STORE}`,
    passOnStoreError: "passOnStoreError is onStoreError: 'open' here",
    keyGenerator: 'keyGenerator is key here: key: (request) => ..., byIp() or byUser(...)',
    ipv6Subnet: 'ipv6Subnet is key: byIp({ ipv6: 56 }) here',
    requestPropertyName: 'requestPropertyName is always rateLimit here',
    skipSuccessfulRequests: `skipSuccessfulRequests is ${OUTCOME}`,
    skipFailedRequests: `skipFailedRequests is ${OUTCOME}`,
    requestWasSuccessful: `requestWasSuccessful is ${OUTCOME}`,
    onLimitReached: `onLimitReached ${HOOK}`,
    validate: 'validate has no match here: checks are warnings, each given once',
    logger: 'logger has no match here: use onError, onDeny or process.on("warning")',
  },
  "express-rate-limit's and @fastify/rate-limit": {
    max: "max is limits: '100/15 minutes' here",
  },
  'express-slow-down': {
    delayAfter: "delayAfter and delayMs are slowDown: '2 seconds' here",
    delayMs: "delayAfter and delayMs are slowDown: '2 seconds' here",
  },
  '@fastify/rate-limit': {
    timeWindow: TIME_WINDOW,
    global: 'global: false is no limits here: register the plugin without limits',
    cache: 'cache is capacity here',
    allowList: "allowList is allow: '10.0.0.0/8' for addresses here, else skip: (request) => ...",
    whitelist: "whitelist is allow: '10.0.0.0/8' for addresses here, else skip: (request) => ...",
    redis: `redis ${STORE}`,
    nameSpace: 'nameSpace is keyPrefix here',
    skipOnError: "skipOnError is onStoreError: 'open' here",
    continueExceeding: 'continueExceeding is blockFor here',
    groupId: 'groupId is scope here',
    errorResponseBuilder:
      'errorResponseBuilder is handler or message here, or an error handler of the server',
    enableDraftSpec: "enableDraftSpec is headers: 'draft' here",
    addHeaders: `addHeaders and addHeadersOnExceeding ${HEADERS}`,
    addHeadersOnExceeding: `addHeaders and addHeadersOnExceeding ${HEADERS}`,
    onExceeding: 'onExceeding is onAdmit here',
    onExceeded: `onExceeded ${HOOK}`,
    onBanReach: `onBanReach ${HOOK}`,
  },
  'koa-ratelimit': {
    blacklist: "blacklist is deny: '192.0.2.1' here",
  },
  'rate-limiter-flexible': {
    points: POINTS,
    duration: POINTS,
    blockDuration: "blockDuration is blockFor: '10 minutes' here",
    inMemoryBlockOnConsumed: 'inMemoryBlockOnConsumed is localDenials here',
    inMemoryBlockDuration: 'inMemoryBlockDuration is localDenials here',
    inmemoryBlockOnConsumed: 'inmemoryBlockOnConsumed is localDenials here',
    inmemoryBlockDuration: 'inmemoryBlockDuration is localDenials here',
    execEvenly: "execEvenly is slowDown: '2 seconds' here, or wait(key) of a leaky-bucket limiter",
    storeClient: `storeClient ${STORE}`,
    insuranceLimiter: "insuranceLimiter is onStoreError: 'local' here, which is the default",
  },
  '@nestjs/throttler': {
    ttl: "ttl and limit are limits: '10/minute' here",
  },
}

/** What an option of another package is called here, in a sentence; nothing for other names. */
export function foreignOption(name: string): string | undefined {
  const found = Object.entries(FOREIGN).find(([, options]) => Object.hasOwn(options, name))
  return found && `${found[0]}'s ${found[1][name]}`
}
