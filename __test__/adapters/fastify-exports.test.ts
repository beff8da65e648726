import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { diagnosticsOf } from '../fixtures/compiled.ts'

const NAMES = [
  'RateLimitExceeded',
  'RequestRefused',
  'TRUST_EVERYBODY',
  'allOf',
  'byHeader',
  'byIp',
  'byUser',
  'firstOf',
  'rateThrottle',
]
const require = createRequire(`${process.cwd()}/`)

test('ratethrottle/fastify exports what the other adapters do, by import and by require', async () => {
  const subpaths = ['fastify', 'express', 'hono', 'http']
  for (const subpath of subpaths) {
    const specifier = `ratethrottle/${subpath}`
    const imported = (await import(specifier)) as Record<string, unknown>
    const required = require(specifier) as Record<string, unknown>
    const core = require('ratethrottle') as Record<string, unknown>
    for (const name of NAMES) {
      expect(imported[name], `${subpath} ${name}`).toBeDefined()
      expect(required[name]).toBe(imported[name])
      if (name !== 'rateThrottle') expect(imported[name]).toBe(core[name])
    }
  }
})

test('the exported names compile as values and as types', async () => {
  const program = `
    import rateThrottle, { byIp, byUser, firstOf, RateLimitExceeded } from 'ratethrottle/fastify'
    import Fastify from 'fastify'
    const app = Fastify()
    await app.register(rateThrottle, { limits: '1/minute', key: firstOf(byUser(() => 'a'), byIp()) })
    app.setErrorHandler((error) => {
      const found: RateLimitExceeded | undefined = error instanceof RateLimitExceeded ? error : undefined
      return found?.retryAfter
    })`
  expect(await diagnosticsOf(program)).toEqual([])
})

test('app.rateThrottle() compiles for every server, logger and stage', async () => {
  const program = `
    import rateThrottle from 'ratethrottle/fastify'
    import Fastify from 'fastify'
    import pino from 'pino'
    const logged = Fastify({ loggerInstance: pino() })
    await logged.register(rateThrottle, { limits: '1/minute' })
    logged.get('/a', { preHandler: logged.rateThrottle('5/minute') }, () => 'ok')
    logged.get('/b', { preParsing: [logged.rateThrottle('5/minute')] }, () => 'ok')
    logged.get('/c', { preValidation: logged.rateThrottle('5/minute') }, () => 'ok')
    const h2 = Fastify({ http2: true })
    h2.get('/a', { onRequest: h2.rateThrottle('5/minute') }, () => 'ok')
    h2.get('/b', { preParsing: h2.rateThrottle({ limits: '5/minute', key: (r) => r.raw.stream.id }) }, () => 'ok')
    const tls = Fastify({ https: {} })
    tls.addHook('preHandler', tls.rateThrottle('5/minute'))`
  expect(await diagnosticsOf(program)).toEqual([])
})

const MISTAKES = {
  'a hook of Fastify': `import 'ratethrottle/fastify'; import Fastify from 'fastify'
    Fastify().rateThrottle('10/fortnight')`,
  'a list of a hook of Fastify': `import 'ratethrottle/fastify'; import Fastify from 'fastify'
    Fastify().rateThrottle({ limits: ['1/minute', '0/minute'] })`,
  Express: `import { rateThrottle } from 'ratethrottle/express'
    rateThrottle({ limits: '10/fortnight' })`,
  'a limit of Express': `import { rateThrottle } from 'ratethrottle/express'
    rateThrottle().limit('10 per fortnight')`,
  'node:http': `import { rateThrottle } from 'ratethrottle/http'
    rateThrottle({ limits: '1.5/minute' })`,
  Hono: `import { rateThrottle } from 'ratethrottle/hono'
    rateThrottle({ limits: '-1/minute' })`,
}

test.each(Object.entries(MISTAKES))(
  'an invalid limit string does not compile: %s',
  async (_, program) => {
    const found = await diagnosticsOf(program)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(/error TS(2345|2322|2769)/)
  },
)
