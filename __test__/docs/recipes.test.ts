import { expect, test } from 'vitest'
import { diagnosticsOf } from '../fixtures/compiled.ts'

const USER = `
declare module 'fastify' {
  interface FastifyRequest {
    user?: { id: string }
  }
}
`

test('the recipe of docs/guides/fastify.md compiles: a key function has the types of its request', async () => {
  const said = await diagnosticsOf(`
import Fastify from 'fastify'
import rateThrottle, { allOf, byHeader, byIp, byUser, firstOf } from 'ratethrottle/fastify'
${USER}
const app = Fastify()
await app.register(rateThrottle, { limits: '300/minute' })
await app.register(rateThrottle, {
  limits: '60/minute',
  hook: 'preHandler',
  key: firstOf(byUser((req) => req.user?.id), byIp()),
})
app.register(rateThrottle, { limits: '9/minute', key: byUser((req) => req.user?.id) })
app.register(rateThrottle, { limits: '9/minute', key: allOf(byIp(), byUser(async (req) => req.user?.id)) })
const key = firstOf(byHeader('x-tenant'), byUser(({ user, ip }) => user?.id ?? ip, { normalize: 'trim-lower' }))
app.get('/', { config: { rateLimit: { limits: '5/minute', key } } }, () => 'ok')
app.get('/hook', { preHandler: app.rateThrottle({ limits: '5/minute', key }) }, () => 'ok')
`)
  expect(said).toEqual([])
})

test('a property that the request does not have is a type error in that recipe', async () => {
  const said = await diagnosticsOf(`
import Fastify from 'fastify'
import rateThrottle, { byIp, byUser, firstOf } from 'ratethrottle/fastify'
const app = Fastify()
app.register(rateThrottle, { limits: '9/minute', key: firstOf(byUser((req) => req.usr?.id), byIp()) })
`)
  expect(said.join()).toMatch(
    /error TS(2339|2551): Property 'usr' does not exist on type 'FastifyRequest/,
  )
})

test('wrap accepts a listener of HTTP/2', async () => {
  const said = await diagnosticsOf(`
import { createServer } from 'node:http'
import { createServer as createSecure } from 'node:https'
import http2 from 'node:http2'
import express from "express"
import { byUser, rateThrottle } from 'ratethrottle/http'
const limiter = rateThrottle({ limits: '9/minute', key: byUser((req) => req.headers.host) })
http2.createServer(limiter.wrap((request, response) => {
  response.stream.respond({ ':status': 200, path: request.stream.id })
  response.end(request.authority)
}))
http2.createSecureServer({ allowHTTP1: true }, limiter.wrap((request, response) => {
  response.end(request.httpVersion)
}))
const onStream = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void response.end()
http2.createServer(limiter.wrap(onStream))
http2.createServer(async (request, response) => {
  if (await limiter.admit(request, response)) response.end()
})
http2.createServer((request, response) => limiter.middleware(request, response, () => response.end()))
createServer(limiter.wrap((request, response) => response.writeHead(200).end(request.url)))
createSecure({}, limiter.wrap(async (request, response) => void response.end(request.socket.remoteAddress)))
createServer(limiter.wrap(express()))
const listener = limiter.wrap((request, response) => response.end(request.url))
createServer(listener)
`)
  expect(said).toEqual([])
})
