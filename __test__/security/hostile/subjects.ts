import {
  IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestListener,
  ServerResponse,
} from 'node:http'
import { createRequire } from 'node:module'
import { Duplex } from 'node:stream'
import express from 'express'
import Fastify from 'fastify'
import { byHeader, rateThrottle as limitExpress } from 'ratethrottle/express'
import limitFastify from 'ratethrottle/fastify'
import { rateThrottle as limitNode } from 'ratethrottle/http'
import { type Hostile, PROXIES } from './requests.ts'

/** Requests a client may have in a day; no run takes as long as it takes to get another. */
export const N = 5

/** Something that answers requests, and limits them. */
export interface Subject {
  readonly name: string
  readonly header: 'x-forwarded-for' | 'forwarded'
  readonly listener: RequestListener
  /** The client that a request should be counted as; `undefined` if it should be refused because it has none. */
  caller(hostile: Hostile): string | undefined
  /** Whether a router may turn a request away before the limiter sees it: then fewer than N may run. */
  readonly routes: boolean
  close(): unknown
}

const LIMITED = { limits: `${N}/day`, headers: 'both', policy: 'a";r=999, "b' } as const
const FORWARDED = { proxies: PROXIES, header: 'forwarded' }
const require = createRequire(`${process.cwd()}/`)
const express4 = require('express-4') as typeof express

const byClient = ({ client }: Hostile): string => client
const byApiKey = ({ headers }: Hostile): string | undefined => {
  const key = Object.hasOwn(headers, 'x-api-key') ? headers['x-api-key'] : undefined
  return key === '' ? undefined : key
}

/** @param ran called for every request that reached its handler */
export async function openSubjects(ran: (request: IncomingMessage) => void): Promise<Subject[]> {
  const xff = { header: 'x-forwarded-for', caller: byClient } as const
  const answer: RequestListener = (request, response) => {
    ran(request)
    response.end('ok')
  }
  const node = (options: object): Pick<Subject, 'listener' | 'close' | 'routes'> => {
    const { wrap, close } = limitNode({ ...LIMITED, ...options })
    return { listener: wrap(answer), close, routes: false }
  }
  return [
    { ...xff, name: 'node:http', ...node({ trust: PROXIES }) },
    {
      ...{ name: 'node:http, Forwarded', header: 'forwarded', caller: byClient },
      ...node({ trust: FORWARDED, allow: '192.0.2.0/24', deny: '198.51.100.0/24' }),
    },
    {
      ...{ name: 'node:http, key', header: 'x-forwarded-for', caller: byApiKey },
      ...node({ key: byHeader('x-api-key'), methods: undefined, blockFor: ['1 hour', '2 days'] }),
    },
    { ...xff, ...openExpress('Express 4', express4, answer, PROXIES) },
    { ...xff, ...openExpress('Express 5', express, answer) },
    { ...xff, ...(await openFastify('Fastify 5', ran)) },
    { ...xff, ...(await openFastify('Fastify 5, trustProxy', ran, PROXIES)) },
  ]
}

function openExpress(name: string, make: typeof express, answer: RequestListener, proxy?: string) {
  const app = make()
  if (proxy !== undefined) app.set('trust proxy', proxy)
  app.use(limitExpress({ ...LIMITED, ...(proxy === undefined ? { trust: PROXIES } : {}) }))
  app.use(answer)
  return { name, listener: app, routes: true, close: () => {} }
}

async function openFastify(name: string, ran: (request: IncomingMessage) => void, proxy?: string) {
  const app = Fastify({ trustProxy: proxy as string })
  await app.register(limitFastify, {
    ...LIMITED,
    ...(proxy === undefined ? { trust: PROXIES } : {}),
  })
  const handler = (request: { raw: IncomingMessage }): string => {
    ran(request.raw)
    return 'ok'
  }
  app.all('*', handler)
  app.setNotFoundHandler(handler)
  await app.ready()
  return { name, listener: app.routing as RequestListener, routes: true, close: () => app.close() }
}

/** Sends a request without a socket. All handlers must have had a turn before the response is read. */
export function ask(
  { listener }: Subject,
  hostile: Hostile,
  before: (request: IncomingMessage) => void,
): ServerResponse {
  const { peer, method, path, headers } = hostile
  const socket = Object.assign(new Duplex({ read() {} }), { remoteAddress: peer })
  const request = new IncomingMessage(socket as never)
  Object.assign(request, { method, url: path, httpVersion: '1.1' })
  Object.assign(request, { httpVersionMajor: 1, httpVersionMinor: 1 })
  request.headers = headers
  request.push(null)
  const response = new ServerResponse(request)
  const { writeHead } = response
  // What Fastify gives here, no getter shows.
  Object.assign(response, {
    writeHead(status: number, headers: OutgoingHttpHeaders = {}) {
      for (const [name, value] of Object.entries(headers)) this.setHeader(name, value ?? '')
      return writeHead.call(this, status)
    },
  } satisfies ThisType<ServerResponse>)
  before(request)
  listener(request, response)
  return response
}
