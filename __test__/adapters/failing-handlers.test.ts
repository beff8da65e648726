import type { IncomingMessage, ServerResponse } from 'node:http'
import http2 from 'node:http2'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'
import express, { type ErrorRequestHandler } from 'express'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import { rateThrottle as onExpress } from 'ratethrottle/express'
import onFastify from 'ratethrottle/fastify'
import { rateThrottle as onHono } from 'ratethrottle/hono'
import { rateThrottle as onNode } from 'ratethrottle/http'
import { FakeClock } from 'ratethrottle/testing'
import { afterEach, describe, expect, test } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { warnings } from '../fixtures/warned.ts'
import { listen } from '../http/serve.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express
const SECRET = 'db down at 10.1.2.3'
const told = warnings()
afterEach(() => {
  told.all.length = 0
})

// biome-ignore lint/suspicious/noExplicitAny: each adapter has its own request
type Any = any
type Handler = (request: Any, response: Any, error: Error) => unknown
/** Answers refusals in place of the framework, where the server has its own error handler. */
type Seen = (error: Error) => void

/** Starts a server that refuses the second request: its URL. */
const SERVERS: Record<string, (options: object, seen?: Seen) => Promise<string>> = {
  'express 4': (options, seen) => serveExpress(express4, options, seen),
  'express 5': (options, seen) => serveExpress(express, options, seen),
  fastify: async (options, seen) => {
    const app = Fastify({ logger: { level: 'silent' } })
    await app.register(onFastify, { limits: '1/hour', clock: new FakeClock(), ...options })
    if (seen !== undefined) {
      app.setErrorHandler((error: Error, _request, reply) => {
        seen(error)
        reply.code(429).send('mine')
      })
    }
    const nothing = { type: 'object', properties: {} }
    app.get('/', { schema: { response: { 429: nothing, '5xx': nothing } } }, () => 'ok')
    await app.ready()
    return listen((request: IncomingMessage, response: ServerResponse) =>
      app.routing(request, response),
    )
  },
  hono: async (options, seen) => {
    const app = new Hono()
    app.use(onHono({ limits: '1/hour', clock: new FakeClock(), ...options }))
    app.get('/', (c) => c.text('ok'))
    if (seen !== undefined) {
      app.onError((error, c) => {
        seen(error)
        return c.text('mine', 429)
      })
    }
    return listen(getRequestListener(app.fetch))
  },
  http: async (options) =>
    listen(
      onNode({ limits: '1/hour', clock: new FakeClock(), ...options }).wrap((_, response) =>
        response.end('ok'),
      ),
    ),
}

function serveExpress(make: typeof express, options: object, seen?: Seen): Promise<string> {
  const app = make()
  app.use(onExpress({ limits: '1/hour', clock: new FakeClock(), ...options }))
  app.get('/', (_request, response) => void response.send('ok'))
  if (seen !== undefined) {
    const handler: ErrorRequestHandler = (error, _request, response, _next) => {
      seen(error)
      response.status(429).send('mine')
    }
    app.use(handler)
  }
  return listen(app)
}

/** The second answer, or that there was none. */
async function refusedBy(url: string): Promise<{ status: number | string; body: string }> {
  await (await fetch(url)).text()
  const signal = AbortSignal.timeout(PATIENCE)
  try {
    const response = await fetch(url, { signal })
    const body = await response.text()
    return { status: response.status, body }
  } catch {
    return { status: signal.aborted ? 'hangs' : 'cut', body: '' }
  }
}

const raise = (thrown: unknown): never => {
  throw thrown
}
const FAILURES: Record<string, Handler> = {
  'throws the refusal': (_request, _response, error) => raise(error),
  'rejects with the refusal': async (_request, _response, error) => raise(error),
  'throws an error': () => raise(new Error(SECRET)),
  'throws an error with a status': () => raise(Object.assign(new Error(SECRET), { status: 503 })),
  'rejects with an error': async () => raise(new Error(SECRET)),
  'rejects later': () => new Promise((_, reject) => setTimeout(reject, 5, new TypeError(SECRET))),
  'throws a text': () => raise(SECRET),
  'throws nothing': () => raise(undefined),
  'throws "route"': () => raise('route'),
  'rejects with nothing': () => Promise.reject(),
}

describe.each(Object.entries(SERVERS))('%s', (name, serve) => {
  test('a refusal whose handler fails gets the default answer, and the error is reported once', async () => {
    const plain = await refusedBy(await serve({}))
    expect(plain.status).toBe(429)
    for (const [how, handler] of Object.entries(FAILURES)) {
      const errors: unknown[] = []
      const onError = (event: { error: unknown }): unknown => errors.push(event.error)
      const found = await refusedBy(await serve({ handler, onError }))
      // The refusal itself is no error of the handler's.
      const count = how.endsWith('the refusal') ? 0 : 1
      expect([how, found, errors.length]).toEqual([how, plain, count])
    }
    // Fastify sends what a handler returns, also an error.
    if (name === 'fastify') {
      const handler: Handler = (_request, _reply, error) => error
      expect(await refusedBy(await serve({ handler }))).toEqual(plain)
    }
  })

  test('without onError a failing handler causes a warning', async () => {
    const handler: Handler = () => raise(new Error('a handler fails'))
    const { status } = await refusedBy(await serve({ handler }))
    const [warning] = await told.of('RATETHROTTLE_FAILED')
    expect([status, warning?.message ?? '']).toEqual([
      429,
      expect.stringContaining('a handler fails'),
    ])
  })

  test('a handler that fails during its answer leaves no client waiting; a complete answer stands', async () => {
    const handler: Handler = (request, response) => {
      const raw = rawOf(request, response)
      raw.writeHead(429)
      raw.write('half an answer')
      raise(new Error(SECRET))
    }
    const errors: unknown[] = []
    const onError = (event: { error: unknown }): unknown => errors.push(event.error)
    const { status } = await refusedBy(await serve({ handler, onError }))
    expect([status, errors.length]).toEqual(['cut', 1])
    const whole: Handler = (request, response) => {
      rawOf(request, response).writeHead(429).end('an answer')
      raise(new Error(SECRET))
    }
    const found = await refusedBy(await serve({ handler: whole, onError }))
    expect([found, errors.length]).toEqual([{ status: 429, body: 'an answer' }, 2])
  })
})

test.each(['express 4', 'express 5', 'fastify', 'hono'])(
  "%s: the user's own error handler sees the refusal of a handler that fails",
  async (name) => {
    for (const [how, handler] of Object.entries(FAILURES)) {
      const seen: unknown[] = []
      const url = await SERVERS[name]?.({ handler, onError: () => {} }, (error) => {
        seen.push((error as { code?: string }).code)
      })
      expect([how, await refusedBy(url ?? ''), seen]).toEqual([
        how,
        { status: 429, body: 'mine' },
        ['RATE_LIMIT_EXCEEDED'],
      ])
    }
  },
)

function rawOf(request: Any, response: Any): ServerResponse {
  const { raw } = response as FastifyReply
  if (raw !== undefined && (request as FastifyRequest).routeOptions !== undefined) return raw
  const { env } = request as { env?: { outgoing?: ServerResponse } }
  return env?.outgoing ?? response
}

test('an HTTP/2 answer begun by a failing handler ends as an error, not as a complete answer', async () => {
  const limiter = onNode({
    limits: '1/hour',
    onError: () => {},
    handler: (_request, response) => {
      response.writeHead(429)
      response.write('half an answer')
      raise(new Error(SECRET))
    },
  })
  const server = http2.createServer(limiter.wrap((_, response) => response.end('ok')) as () => void)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const codes: unknown[] = []
  for (let i = 0; i < 2; i++) {
    const stream = session.request({ ':path': '/' })
    stream.on('error', () => {}).resume()
    const timer = setTimeout(() => stream.destroy(), 3_000)
    await new Promise((resolve) => stream.on('close', resolve))
    clearTimeout(timer)
    codes.push(stream.rstCode)
  }
  session.destroy()
  await new Promise((resolve) => server.close(resolve))
  expect(codes).toEqual([0, http2.constants.NGHTTP2_INTERNAL_ERROR])
})
