import { once } from 'node:events'
import { Agent, createServer, type IncomingHttpHeaders, request, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { serve as serveHono } from '@hono/node-server'
import express, { type Request, type Response } from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { afterEach } from 'vitest'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

/** Every adapter. */
export const ADAPTERS = ['fastify', 'express', 'express-4', 'http', 'hono'] as const
export type Adapter = (typeof ADAPTERS)[number]

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What a route of the test answers: a status, perhaps later. */
export type Handle = (path: string) => number | Promise<number>

/** Options that mean the same in every adapter. Their functions look at `headers` alone. */
// biome-ignore lint/suspicious/noExplicitAny: each adapter has a request of its own
export type Options = any

export interface Running {
  readonly port: number
  /** How often a handler ran. */
  runs(): number
  ask(path?: string, what?: Ask): Promise<Answer>
  /** The statuses of so many requests, one after the other. */
  statuses(count: number, path?: string, what?: Ask): Promise<number[]>
}

interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly localAddress?: string
  readonly signal?: AbortSignal
}

const closing: (() => unknown)[] = []
const agent = new Agent({ keepAlive: true, maxSockets: 1000 })
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** Starts a server whose every route answers what `handle` says, behind one limiter. */
export async function serve(
  adapter: Adapter,
  options: Options,
  handle: Handle = () => 200,
): Promise<Running> {
  let runs = 0
  const counted: Handle = (path) => {
    runs++
    return handle(path)
  }
  const port = await START[adapter](options, counted)
  const ask = (path = '/', what: Ask = {}) => send(port, path, what)
  const statuses = async (count: number, path?: string, what?: Ask): Promise<number[]> => {
    const seen: number[] = []
    for (let i = 0; i < count; i++) seen.push((await ask(path, what)).status)
    return seen
  }
  return { port, ask, statuses, runs: () => runs }
}

const START: Record<Adapter, (options: Options, handle: Handle) => Promise<number>> = {
  fastify: async (options, handle) => {
    const app = Fastify()
    await app.register(forFastify, options)
    app.all('/*', async (req, reply) => reply.code(await handle(req.url)).send('done'))
    await app.listen({ host: '127.0.0.1', port: 0 })
    closing.push(() => app.close())
    return (app.server.address() as AddressInfo).port
  },
  express: (options, handle) => startExpress(express(), options, handle),
  'express-4': (options, handle) => startExpress(express4(), options, handle),
  http: async (options, handle) => {
    const limiter = forHttp(options)
    const listener = limiter.wrap(async (req, res) => {
      res.statusCode = await handle(req.url ?? '')
      res.end('done')
    })
    return listen(createServer(listener).listen(0, '127.0.0.1'), () => limiter.close())
  },
  hono: async (options, handle) => {
    const app = new Hono()
    app.use(forHono(options))
    app.all('/*', async (c) => c.text('done', (await handle(c.req.path)) as 200))
    return listen(serveHono({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server)
  },
}

function startExpress(app: ReturnType<typeof express>, options: Options, handle: Handle) {
  const limiter = forExpress(options)
  app.use(limiter)
  app.use(async (req: Request, res: Response) => {
    res.status(await handle(req.url)).send('done')
  })
  return listen(app.listen(0, '127.0.0.1'), () => limiter.close())
}

async function listen(server: Server, close?: () => void): Promise<number> {
  if (!server.listening) await once(server, 'listening')
  closing.push(() => {
    close?.()
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

function send(port: number, path: string, what: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, agent, ...what }, (res) => {
      let body = ''
      res.on('data', (data) => {
        body += data
      })
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }))
    })
    call.on('error', reject)
    call.end()
  })
}
