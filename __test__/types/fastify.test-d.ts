import type { Http2SecureServer } from 'node:http2'
import type { Server } from 'node:https'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyTypeProvider,
} from 'fastify'
import { rateThrottle as express } from 'ratethrottle/express'
import rateThrottle, {
  allOf,
  byHeader,
  byIp,
  byUser,
  firstOf,
  RateLimitExceeded,
  RequestRefused,
  TRUST_EVERYBODY,
} from 'ratethrottle/fastify'
import { rateThrottle as hono } from 'ratethrottle/hono'
import { rateThrottle as nodeHttp } from 'ratethrottle/http'
import { expectTypeOf, test } from 'vitest'

/** A logger with more methods than Fastify requires, as pino has. */
interface Logger extends FastifyBaseLogger {
  flush(): void
}

const logger = undefined as unknown as Logger

test('a hook fits every stage of every kind of server', () => {
  const logged = Fastify({ loggerInstance: logger })
  const http2 = Fastify({ http2: true })
  logged.register(rateThrottle, { limits: '1/minute' })
  http2.register(rateThrottle, { limits: '1/minute' })
  logged.get('/', { preHandler: logged.rateThrottle('5/minute') }, () => 'ok')
  logged.get('/b', { preHandler: [logged.rateThrottle('5/minute')] }, () => 'ok')
  logged.get('/c', { preParsing: logged.rateThrottle('5/minute') }, () => 'ok')
  logged.get('/d', { preValidation: logged.rateThrottle('5/minute') }, () => 'ok')
  logged.get('/e', { onRequest: [logged.rateThrottle('5/minute')] }, () => 'ok')
  logged.addHook('onRequest', logged.rateThrottle('5/minute'))
  logged.addHook('preParsing', logged.rateThrottle('5/minute'))
  http2.get('/', { preHandler: http2.rateThrottle('5/minute') }, () => 'ok')
  http2.get('/p', { preParsing: http2.rateThrottle('5/minute') }, () => 'ok')
  http2.addHook('preValidation', http2.rateThrottle('5/minute'))
  http2.rateThrottle({ limits: '5/minute', key: (request) => request.raw.stream.id })
  http2.setNotFoundHandler({ preHandler: http2.rateThrottle('5/minute') }, () => 'no')
})

interface Provider extends FastifyTypeProvider {
  readonly validator: unknown
}

test('the plugin fits servers with a type provider, HTTPS and secure HTTP/2', () => {
  const provided = Fastify().withTypeProvider<Provider>()
  provided.get('/', { preHandler: provided.rateThrottle('5/minute') }, () => 'ok')
  const https = Fastify({ https: {} }) as FastifyInstance<Server>
  https.get('/', { preParsing: https.rateThrottle({ limits: ['5/minute', '9/hour'] }) }, () => 'ok')
  const secure = Fastify({ http2: true, https: {} }) as FastifyInstance<Http2SecureServer>
  secure.post('/', { onRequest: secure.rateThrottle('5/minute') }, () => 'ok')
})

test('an invalid limit string does not compile in the Fastify plugin', () => {
  const app = Fastify()
  // @ts-expect-error no such unit
  app.rateThrottle('10/fortnight')
  // @ts-expect-error no such unit
  app.rateThrottle(['1/minute', '10/fortnight'])
  // @ts-expect-error no such unit
  app.rateThrottle({ limits: '10/fortnight' })
  // @ts-expect-error no such unit
  app.rateThrottle({ limits: ['10/fortnight'], key: byIp() })
  app.rateThrottle({ limits: '10/minute', key: byUser((request) => request.headers['x-id']?.[0]) })
  app.rateThrottle({ limits: { count: 1, windowMs: 5 } })
  app.rateThrottle((request) => (request.url === '/' ? '1/minute' : false))
  app.rateThrottle({ limits: (request) => (request.url === '/' ? '1/minute' : false) })
  app.rateThrottle(String(1) as string)
  // @ts-expect-error no such option
  app.rateThrottle({ limits: '10/minute', max: 5 })
})

test('the Fastify adapter exports the names that all adapters export', () => {
  firstOf(
    allOf(byIp(), byHeader('x')),
    byUser(() => undefined),
  )
  expectTypeOf(TRUST_EVERYBODY).not.toBeAny()
  const thrown: RateLimitExceeded | RequestRefused | undefined = undefined
  expectTypeOf(new RequestRefused('KEY_MISSING')).toEqualTypeOf<RequestRefused>()
  expectTypeOf<RateLimitExceeded['retryAfter']>().toEqualTypeOf<number>()
  expectTypeOf(RateLimitExceeded).not.toBeAny()
  return thrown
})

test('an invalid limit string does not compile in the factories of the other adapters', () => {
  // @ts-expect-error no such unit
  express({ limits: '10/fortnight' })
  // @ts-expect-error no such unit
  express({ limits: '1/minute' }).limit('10/fortnight')
  // @ts-expect-error no such unit
  express().limit({ limits: ['1/minute', '10/fortnight'] })
  // @ts-expect-error no such unit
  nodeHttp({ limits: '10/fortnight' })
  // @ts-expect-error no such unit
  hono({ limits: '10/fortnight', key: byIp() })
  express({ limits: String(1) }).limit({ count: 1, windowMs: 5 })
  nodeHttp({ limits: (request) => (request.url === '/' ? '1/minute' : false) })
  hono({ limits: ['1/minute', '9/hour'], key: (c) => c.req.header('x-id') })
})
