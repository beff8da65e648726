import type { Request } from 'express'
import Fastify from 'fastify'
import { allOf, byHeader, byIp, byUser, firstOf, rateThrottle } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { test } from 'vitest'

interface User {
  readonly id: string
}
declare module 'fastify' {
  interface FastifyRequest {
    reviewer?: User
  }
}
declare global {
  namespace Express {
    interface Request {
      reviewer?: User
    }
  }
}

test("express: README's own example compiles: the request of a key function needs no annotation", () => {
  rateThrottle({ limits: '1/minute', key: byUser((req) => req.reviewer?.id) })
  rateThrottle({
    limits: '1/minute',
    key: firstOf(
      byUser((req) => req.reviewer?.id),
      byIp(),
    ),
  })
  rateThrottle({
    limits: '1/minute',
    key: firstOf(
      byIp(),
      byUser((req) => req.reviewer?.id),
    ),
  })
  rateThrottle({
    limits: '1/minute',
    key: firstOf(
      byUser((req: Request) => req.ip),
      byIp(),
    ),
  })
  rateThrottle({
    limits: '1/minute',
    key: allOf(
      byUser((req) => req.reviewer?.id),
      byHeader('x'),
    ),
  })
})

test('a limits function is accepted wherever limits are', () => {
  rateThrottle().limit((req) => (req.reviewer === undefined ? '1/minute' : '9/minute'))
  const app = Fastify()
  app.register(forFastify, { limits: (req) => (req.reviewer === undefined ? '1/minute' : false) })
  app.get('/', { config: { rateLimit: (req) => (req.reviewer ? '9/minute' : false) } }, () => {})
  app.get(
    '/b',
    { preHandler: app.rateThrottle((req) => (req.reviewer ? '9/minute' : false)) },
    () => {},
  )
})
