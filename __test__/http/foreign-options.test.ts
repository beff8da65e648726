import Fastify from 'fastify'
import { createLimiter } from 'ratethrottle'
import { rateThrottle as express } from 'ratethrottle/express'
import fastify from 'ratethrottle/fastify'
import { rateThrottle as hono } from 'ratethrottle/hono'
import { rateThrottle as http } from 'ratethrottle/http'
import { describe, expect, test } from 'vitest'

async function register(options: object): Promise<void> {
  const app = Fastify()
  app.register(fastify, options)
  await app.ready()
}

async function route(rateLimit: object): Promise<void> {
  const app = Fastify()
  await app.register(fastify, {})
  app.get('/', { config: { rateLimit } as object }, () => 'ok')
}

const MAKERS: Record<string, (options: object) => unknown> = {
  Fastify: register,
  'a route of Fastify': route,
  Express: (options) => express(options as never),
  "Express' limit": (options) => express().limit(options as never),
  'node:http': (options) => http(options as never),
  Hono: (options) => hono(options as never),
  createLimiter: (options) => createLimiter(options as never),
}

async function refusalOf(
  make: (options: object) => unknown,
  options: object,
): Promise<{ code: unknown; message: string }> {
  try {
    await make(options)
  } catch (error) {
    return { code: (error as { code?: unknown }).code, message: (error as Error).message }
  }
  return { code: undefined, message: '' }
}

/** The equivalent of each option of other packages: a word that the message must contain. */
const FOREIGN: Record<string, string> = {
  windowMs: 'limits',
  max: 'limits',
  limit: 'limits',
  timeWindow: 'limits',
  points: 'limits',
  duration: 'limits',
  ttl: 'limits',
  throttlers: 'limits',
  keyGenerator: 'key',
  store: 'storage',
  redis: 'storage',
  storeClient: 'storage',
  standardHeaders: 'headers',
  legacyHeaders: 'headers',
  addHeaders: 'headers',
  enableDraftSpec: "'draft'",
  errorResponseBuilder: 'handler',
  statusCode: 'status',
  allowList: 'allow',
  whitelist: 'allow',
  blacklist: 'deny',
  skipFailedRequests: 'countWhen',
  skipSuccessfulRequests: 'countWhen',
  requestWasSuccessful: 'countWhen',
  onLimitReached: 'onDeny',
  onExceeded: 'onDeny',
  onExceeding: 'onAdmit',
  ban: 'blockFor',
  blockDuration: 'blockFor',
  exponentialBackoff: 'blockFor',
  inMemoryBlockOnConsumed: 'localDenials',
  nameSpace: 'keyPrefix',
  groupId: 'scope',
  passOnStoreError: 'onStoreError',
  skipOnError: 'onStoreError',
  insuranceLimiter: 'onStoreError',
  delayMs: 'slowDown',
  ipv6Subnet: 'byIp',
  cache: 'capacity',
}

describe.each(Object.entries(MAKERS))('%s', (_, make) => {
  test('an option of another package is refused with the name of its equivalent', async () => {
    for (const [name, here] of Object.entries(FOREIGN)) {
      const { code, message } = await refusalOf(make, { limits: '5/minute', [name]: 5 })
      expect([name, code]).toEqual([name, 'INVALID_OPTION'])
      expect(message).toContain(name)
      expect(message).toMatch(/ here\b/)
      expect(message.replace(name, '')).toContain(here)
      expect(message.length).toBeLessThan(250)
    }
  })

  test('a misspelt option is refused with the closest name, not with all names', async () => {
    const slips = {
      blokFor: 'blockFor',
      algoritm: 'algorithm',
      Storage: 'storage',
      capacty: 'capacity',
    }
    for (const [wrong, right] of Object.entries(slips)) {
      const { code, message } = await refusalOf(make, { limits: '5/minute', [wrong]: 5 })
      expect([wrong, code]).toEqual([wrong, 'INVALID_OPTION'])
      expect(message).toMatch(new RegExp(`${wrong}.*\\b${right}\\?`))
      expect(message.length).toBeLessThan(120)
    }
    const far = await refusalOf(make, { limits: '5/minute', somethingElse: 5 })
    expect(far.code).toBe('INVALID_OPTION')
    expect(far.message.length).toBeLessThan(120)
  })
})

test('windowMs and limit of express-rate-limit are translated to limits', async () => {
  const { message } = await refusalOf((options) => express(options as never), {
    windowMs: 900_000,
    limit: 100,
  })
  expect(message).toContain(
    "express-rate-limit's windowMs and limit are limits: '100/15 minutes' here",
  )
})

test('an option of another package that may be false is translated for both of its values', async () => {
  const { message } = await refusalOf((options) => express(options as never), {
    limits: '5/minute',
    skipFailedRequests: false,
  })
  expect(message).toContain("countWhen: 'success' here if true; if false, leave it out")
})

test('ipv6Subnet names both packages that have it', async () => {
  const { message } = await refusalOf(register, { limits: '5/minute', ipv6Subnet: 56 })
  expect(message).toContain("express-rate-limit's and @fastify/rate-limit's ipv6Subnet is key:")
})
