import { createServer } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2, type Http2Server } from 'node:http2'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import express from 'express'
import Fastify, { type FastifyRequest } from 'fastify'
import { Hono } from 'hono'
import rateThrottle from 'ratethrottle/fastify'
import { describe, expect, it } from 'vitest'
import { insightPage, type PageOptions } from '../../../dist/insight/page/index.js'
import { busyReport, FakeView } from './fake-view.ts'
import { ask, later, listen, openSession, openStream, until } from './serve.ts'

/** Its types are those of Express 5. */
const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

/** A page for those who send the key, mounted at /limits. @returns the address of the server */
type Mount = (view: FakeView) => Promise<string>

const isAdmin = (request: { headers: Record<string, unknown> }): boolean =>
  request.headers['x-key'] === '1'

function page<Request = never>(view: FakeView, options: PageOptions<Request> = {}) {
  const made = insightPage<Request>(view, { authorize: isAdmin as never, ...options })
  later(() => made.close())
  return made
}

const MOUNTS: Readonly<Record<string, Mount>> = {
  'node:http': (view) => {
    const show = page(view)
    return listen(
      createServer((request, response) => {
        if (/^\/limits(?:\/?(?:\?|$))/.test(request.url ?? '')) show(request as never, response)
        else response.writeHead(404).end('none')
      }),
    )
  },
  Express: (view) => {
    const app = express()
    app.use((_request, response, next) => {
      response.setHeader('access-control-allow-origin', '*')
      next()
    })
    app.use('/limits', page(view))
    return listen(createServer(app))
  },
  'Express behind a body parser': (view) => {
    const app = express()
    app.use(express.json())
    app.use('/limits', page(view))
    return listen(createServer(app))
  },
  'Express, as one route': (view) => {
    const app = express()
    app.all('/limits', page(view))
    return listen(createServer(app))
  },
  'Express 4': (view) => {
    const app = express4()
    app.use('/limits', page(view) as never)
    return listen(createServer(app))
  },
  Fastify: async (view) => {
    const app = Fastify()
    await app.register(page<FastifyRequest>(view, { authorize: isAdmin }).fastify, {
      prefix: '/limits',
    })
    later(() => app.close())
    return await app.listen({ host: '127.0.0.1', port: 0 })
  },
  Hono: async (view) => {
    const app = new Hono()
    const show = page<Request>(view, {
      authorize: (request) => request.headers.get('x-key') === '1',
    })
    app.mount('/limits', show.fetch)
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 })
    later(() => server.close())
    await new Promise((resolve) => server.once('listening', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },
}

describe.each(Object.entries(MOUNTS))('in %s', (_name, mount) => {
  const key = { 'x-key': '1' }

  it('answers those who may see it, at its own path', async () => {
    const view = new FakeView()
    view.figures = busyReport()
    const url = await mount(view)
    for (const path of ['/limits', '/limits/', '/limits?a=b']) {
      expect((await ask(`${url}${path}`)).status).toBe(404)
      const { status, headers, body } = await ask(`${url}${path}`, { headers: key })
      expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
      expect(headers['content-security-policy']).toContain("default-src 'none'")
      expect(headers).not.toHaveProperty('access-control-allow-origin')
      expect(body).toContain('<title>Rate limits</title>')
    }
    expect((await ask(`${url}/other`, { headers: key })).status).toBe(404)
    const once = await ask(`${url}/limits?figures=once`, { headers: key })
    expect(JSON.parse(once.body)).toHaveProperty('totals.admitted', 182_340)
    const head = await ask(`${url}/limits`, { method: 'HEAD', headers: key })
    expect([head.status, head.body]).toEqual([200, ''])
  })

  it('takes a change from its own page, and no large one', async () => {
    const view = new FakeView()
    const url = `${await mount(view)}/limits`
    const first = await ask(url, { headers: key })
    const headers = {
      ...key,
      cookie: first.headers['set-cookie']?.[0]?.split(';')[0] ?? '',
      'x-ratethrottle-token': /data-token="([^"]+)"/.exec(first.body)?.[1] ?? '',
      'content-type': 'application/json',
      'sec-fetch-site': 'same-origin',
      origin: new URL(url).origin,
    }
    const body = JSON.stringify({ action: 'pardon', source: '203.0.113.9' })
    const done = await ask(url, { method: 'POST', headers, body })
    expect([done.status, done.body.trim()]).toEqual([200, '{"done":true}'])
    const large = JSON.stringify({ action: 'pardon', source: 'a'.repeat(5_000) })
    const refused = await ask(url, { method: 'POST', headers, body: large })
    expect([400, 413]).toContain(refused.status)
    const { 'x-ratethrottle-token': _, ...without } = headers
    expect((await ask(url, { method: 'POST', headers: without, body })).status).toBe(403)
    const { 'x-key': __, ...withoutKey } = headers
    expect((await ask(url, { method: 'POST', headers: withoutKey, body })).status).toBe(404)
    expect(view.calls).toEqual(['pardon 203.0.113.9'])
  })
})

/** Opens a live page, reads two events, leaves, and waits until its place is free. */
async function lookAndLeave(name: string, mount: Mount): Promise<string> {
  const view = new FakeView()
  const url = `${await mount(view)}/limits?figures=live`
  const answer = await fetch(url, { headers: { 'x-key': '1' } })
  const reader = answer.body?.getReader()
  let text = ''
  while ((text.match(/data: /g)?.length ?? 0) < 2) {
    const { value, done } = (await reader?.read()) ?? { done: true }
    if (done) break
    text += Buffer.from(value as Uint8Array).toString()
  }
  await reader?.cancel()
  for (let i = 0; i < 10; i++) {
    const before = view.reports
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    if (view.reports === before) return `${name}: ${text.slice(0, 18)}`
  }
  return `${name} still counts for a client that has left`
}

it('is live in all of them, and frees the place of a client that leaves', async () => {
  const all = Object.entries(MOUNTS).map(([name, mount]) => lookAndLeave(name, mount))
  const expected = Object.keys(MOUNTS).map((name) => `${name}: retry: 2000\n\ndata:`)
  expect(await Promise.all(all)).toEqual(expected)
})

it('in Express, what is below the page goes on to the next handler', async () => {
  const app = express()
  app.use('/limits', page(new FakeView()))
  app.use('/limits/mine', (_request, response) => void response.send('mine'))
  const url = await listen(createServer(app))
  expect((await ask(`${url}/limits/mine`)).body).toBe('mine')
})

it('Fastify closes with a live page open', async () => {
  const app = Fastify()
  const show = page<FastifyRequest>(new FakeView(), { authorize: () => true })
  await app.register(show.fastify, { prefix: '/limits' })
  // Its parsers are its own: those of the program stay.
  app.post('/echo', (request) => request.body)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const echo = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"a":1}' }
  expect((await ask(`${url}/echo`, echo)).body).toBe('{"a":1}')
  const stream = await openStream(`${url}/limits`)
  expect(stream.status).toBe(200)
  await app.close()
  await stream.ended
})

it('Fastify: config is that of the route of the page, so it can have a limit of its own, or none', async () => {
  const served: Record<string, number> = {}
  const config = { api: {}, own: { rateLimit: '4/minute' }, none: { rateLimit: false } }
  for (const [name, given] of Object.entries(config)) {
    const app = Fastify()
    const show = page<FastifyRequest>(new FakeView(), { authorize: () => true })
    await app.register(rateThrottle, { limits: '2/minute' })
    await app.register(show.fastify, { prefix: '/limits', config: given })
    const answers = []
    for (let i = 0; i < 6; i++) answers.push(await app.inject('/limits'))
    served[name] = answers.filter(({ statusCode }) => statusCode === 200).length
    await app.close()
  }
  expect(served).toEqual({ api: 2, own: 4, none: 6 })
})

it('Fastify asks authorize with its own request', async () => {
  const app = Fastify()
  app.decorateRequest('admin', true)
  const show = page<FastifyRequest & { admin: boolean }>(new FakeView(), {
    authorize: (request) => request.admin && request.routeOptions.url === '/limits',
  })
  await app.register(show.fastify as never, { prefix: '/limits' })
  later(() => app.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  expect((await ask(`${url}/limits`)).status).toBe(200)
})

it('is served over HTTP/2', async () => {
  const server: Http2Server = createHttp2(page(new FakeView(), { authorize: () => true }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later(() => new Promise((resolve) => server.close(resolve)))
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  later(() => session.close())
  const read = (path: string, isLive = false) =>
    new Promise<string>((resolve) => {
      let text = ''
      const stream = session.request({ ':path': path }).setEncoding('utf8')
      stream.on('data', (chunk: string) => {
        text += chunk
        if (isLive && text.includes('data: ')) stream.close()
      })
      stream.on('close', () => resolve(text))
    })
  expect(await read('/limits')).toContain('<title>Rate limits</title>')
  expect(await read('/limits?figures=live', true)).toContain('data: {')
})

it('over HTTP/2 nothing piles up for a client that takes nothing, and its end ends no process', async () => {
  const view = new FakeView()
  const { limits } = busyReport()
  const name = 'n'.repeat(2 ** 20)
  view.figures = { ...busyReport(), limits: limits.slice(0, 1).map((one) => ({ ...one, name })) }
  const server: Http2Server = createHttp2(page(view, { authorize: () => true }))
  const streams: { readonly writableLength: number; readonly destroyed: boolean }[] = []
  server.on('stream', (stream) => streams.push(stream))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later(() => new Promise((resolve) => server.close(resolve)))
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  session.on('error', () => undefined)
  const stream = session.request({ ':path': '/?figures=live' }).on('error', () => undefined)
  await new Promise((resolve) => stream.once('response', resolve))
  await until(() => (streams[0]?.writableLength ?? 0) > 2 ** 19)
  const waiting = streams[0]?.writableLength ?? 0
  const { reports } = view
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  expect([streams[0]?.writableLength, view.reports]).toEqual([waiting, reports])
  session.destroy()
  await until(() => streams[0]?.destroyed === true)
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  expect(view.reports).toBe(reports)
})

it('a Response that is no longer read is no longer written', async () => {
  const view = new FakeView()
  const { fetch: answer } = page<Request>(view, { authorize: () => true, maxStreams: 1 })
  const live = () => answer(new Request('http://localhost/?figures=live'))
  const first = await live()
  expect([first.status, (await live()).status]).toEqual([200, 503])
  await first.body?.cancel()
  const second = await live()
  expect(second.status).toBe(200)
  // Two events wait for a reader that does not come, and no more.
  const { reports } = view
  await new Promise((resolve) => setTimeout(resolve, 1_200))
  expect(view.reports).toBe(reports)
  await second.body?.cancel()
})

it('works behind a proxy that takes its prefix away', async () => {
  const inner = await listen(createServer(page(new FakeView(), { authorize: () => true })))
  const { token, cookie } = await openSession(`${inner}/`)
  expect(token).toHaveLength(43)
  expect(cookie).toBe(`ratethrottle-page=${token}`)
})
