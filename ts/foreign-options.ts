/*
 * What options of other packages are called here. Users who come from one of them try its names first, and
 * a list of our names would not tell them which option does the same.
 */

const STORE = "is storage: 'redis://...' here, or a client of ioredis"
const HEADERS = "are headers: 'legacy', 'draft', 'both' or false here"

/** By package, and by name there, with the name or the value that goes with it: what that is here. */
const FOREIGN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'express-rate-limit': {
    'windowMs and limit': "are limits: '100/15 minutes' here",
    statusCode: 'is status here',
    'standardHeaders and legacyHeaders': HEADERS,
    identifier: 'is policy here, the name of a limit in draft headers',
    retryAfter: 'is not to be set here: Retry-After is computed, and true',
    store: STORE,
    passOnStoreError: "is onStoreError: 'open' here",
    keyGenerator: 'is key here: key: (request) => ..., byIp() or byUser(...)',
    requestPropertyName: 'is always rateLimit here',
    skipSuccessfulRequests: "is countWhen: 'failure' here if true; if false, leave it out",
    skipFailedRequests: "is countWhen: 'success' here if true; if false, leave it out",
    requestWasSuccessful: 'is countWhen: ({ request, status }) => ... here',
    onLimitReached: 'is onDeny here',
    'validate and logger': 'have no match here: checks are warnings, failures go to onError',
  },
  "express-rate-limit's and @fastify/rate-limit": {
    max: "is limits: '100/15 minutes' here",
    ipv6Subnet: 'is key: byIp({ ipv6: 56 }) here',
  },
  'express-slow-down': {
    'delayAfter and delayMs': "are slowDown: '2 seconds' here",
  },
  '@fastify/rate-limit': {
    'max and timeWindow': "are limits: '100/minute' here",
    'global: false': 'is no limits here: register the plugin without limits',
    cache: 'is capacity here',
    'allowList and whitelist': "are allow: '10.0.0.0/8' here, else skip: (request) => ...",
    redis: STORE,
    nameSpace: 'is keyPrefix here',
    skipOnError: "is onStoreError: 'open' here",
    continueExceeding: 'is blockFor here',
    'ban and exponentialBackoff': "are blockFor: ['1 minute', '1 hour'] here",
    groupId: 'is scope here',
    errorResponseBuilder: 'is handler or message here, or an error handler of the server',
    enableDraftSpec: "is headers: 'draft' here",
    'addHeaders and addHeadersOnExceeding': HEADERS,
    onExceeding: 'is onAdmit here',
    'onExceeded and onBanReach': 'are onDeny here',
  },
  'koa-ratelimit': {
    blacklist: "is deny: '192.0.2.1' here",
  },
  'rate-limiter-flexible': {
    'points and duration': "are limits: '5/second' here",
    blockDuration: "is blockFor: '10 minutes' here",
    'inMemoryBlockOnConsumed and inMemoryBlockDuration': 'are localDenials here',
    'inmemoryBlockOnConsumed and inmemoryBlockDuration': 'are localDenials here',
    execEvenly: "is slowDown: '2 seconds' here, or wait(key) of a leaky-bucket limiter",
    storeClient: STORE,
    insuranceLimiter: "is onStoreError: 'local' here, which is the default",
  },
  '@nestjs/throttler': {
    'ttl and limit': "are limits: '10/minute' here",
    throttlers: "are limits: ['10/second', '100/minute'] here",
  },
}

/** What an option of another package is called here, in a sentence; nothing for other names. */
export function foreignOption(name: string): string | undefined {
  for (const [owner, options] of Object.entries(FOREIGN)) {
    const named = Object.keys(options).find((names) => names.split(/ and |:/).includes(name))
    if (named !== undefined) return `${owner}'s ${named} ${options[named]}`
  }
  return undefined
}
