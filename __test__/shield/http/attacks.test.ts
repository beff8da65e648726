import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import express from 'express'
import { FakeClock } from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { type ShieldOptions, shield } from 'ratethrottle/shield'
import { expect, it, onTestFinished, vi } from 'vitest'
import { stream } from '../../fixtures/http2.ts'
import { PATIENCE } from '../../fixtures/patience.ts'
import { pipeline, repeat, text, times } from '../../http/client.ts'
import { ADAPTERS, type Framework, type Options, serve } from '../../http/serve.ts'
import { ScriptedGuard } from './scripted.ts'

const each = it.each(ADAPTERS)
const [ATTACKER, VICTIM] = ['127.0.0.66', '127.0.0.10']

const SOON = { interval: 2, timeout: PATIENCE }

function guardOf(options: ShieldOptions<never> = {}) {
  const guard = shield({ mode: 'enforce', ...options })
  onTestFinished(() => guard.close())
  return guard
}

function pathOf(request: { url?: string; req?: { path: string } }): string | undefined {
  // Only a Request of the web names its host.
  return request.req?.path ?? request.url?.replace(/^http:\/\/[^/]*/, '')
}

const sensitive = (request: object): boolean => pathOf(request) === '/login'

/** Answers failures at `/login` and for paths that are not there. */
function siteOf(framework: Framework, options: Options) {
  return serve(framework, options, (path) => {
    if (path === '/login') return 401
    return path === '/' ? 200 : 404
  })
}

each('%s: a scan is blocked after few probes, and others are served', async (framework) => {
  const guard = guardOf()
  const site = await siteOf(framework, { shield: guard })
  const probes: number[] = []
  for (const i of repeat(60, (n) => n)) {
    probes.push((await site.ask(`/probe-${i}.php?x=${i}`, { from: ATTACKER })).status)
  }
  const served = probes.indexOf(429)
  expect(served).toBeGreaterThanOrEqual(15)
  // Paths are told apart by five bits of a hash.
  expect(served).toBeLessThanOrEqual(50)
  expect(probes.slice(served).every((status) => status === 429)).toBe(true)
  const blocked = await site.ask('/', { from: ATTACKER })
  expect(blocked.status).toBe(429)
  expect(Number(blocked.headers['retry-after'])).toBeGreaterThan(590)
  expect((await site.ask('/', { from: VICTIM })).status).toBe(200)
  // One missing page again and again, as a broken link: no scan.
  expect(await site.statuses(40, '/favicon.ico', { from: VICTIM })).toEqual(times(40, 404))
  guard.pardon(ATTACKER)
  expect((await site.ask('/', { from: ATTACKER })).status).toBe(200)
})

each('%s: stuffing of a login is blocked, everywhere', async (framework) => {
  const site = await siteOf(framework, { shield: { mode: 'enforce', sensitive } })
  const tries = await site.statuses(30, '/login', { from: ATTACKER })
  expect(tries.filter((status) => status === 401).length).toBeLessThanOrEqual(16)
  expect(tries.at(-1)).toBe(429)
  expect((await site.ask('/', { from: ATTACKER })).status).toBe(429)
  expect((await site.ask('/', { from: VICTIM })).status).toBe(200)
})

each('%s: without trust a forged header names no victim (H119)', async (framework) => {
  const guard = guardOf({ sensitive })
  const site = await siteOf(framework, { shield: guard })
  const forged = { 'x-forwarded-for': VICTIM, forwarded: `for=${VICTIM}`, 'x-real-ip': VICTIM }
  for (let i = 0; i < 60; i++) {
    await site.ask(i % 2 === 0 ? '/login' : `/probe-${i}`, { from: ATTACKER, headers: forged })
  }
  expect(guard.isBlocked(VICTIM)).toBe(0)
  expect(guard.isBlocked(ATTACKER)).toBeGreaterThan(0)
  expect((await site.ask('/', { from: VICTIM })).status).toBe(200)
  expect(guard.top(10).map(({ source }) => source)).not.toContain('203.0.113.7')
})

each('%s: with trust the clients of one proxy are judged alone', async (framework) => {
  const guard = guardOf({ sensitive })
  const site = await siteOf(framework, { shield: guard, trust: 'loopback' })
  const from = (client: string) => ({ headers: { 'x-forwarded-for': `192.0.2.1, ${client}` } })
  await site.statuses(40, '/login', from('203.0.113.7'))
  expect((await site.ask('/', from('203.0.113.7'))).status).toBe(429)
  expect((await site.ask('/', from('203.0.113.8'))).status).toBe(200)
  expect([guard.isBlocked('127.0.0.1'), guard.isBlocked('192.0.2.1')]).toEqual([0, 0])
})

each('%s: addresses that rotate within a /64 are one source', async (framework) => {
  const guard = guardOf({ sensitive })
  const site = await siteOf(framework, { shield: guard, trust: 'loopback' })
  const from = (client: string) => ({ headers: { 'x-forwarded-for': client } })
  const tries: number[] = []
  for (let i = 0; i < 40; i++) {
    const address = `2001:db8:0:1:${i.toString(16)}::${(i * 7).toString(16)}`
    tries.push((await site.ask('/login', from(address))).status)
  }
  expect(tries.at(-1)).toBe(429)
  expect((await site.ask('/', from('2001:db8:0:2::1'))).status).toBe(200)
})

each('%s: watch refuses nothing, and says what it would have', async (framework) => {
  const guard = guardOf({ mode: 'watch', sensitive })
  const site = await siteOf(framework, { shield: guard })
  expect(await site.statuses(40, '/login', { from: ATTACKER })).toEqual(times(40, 401))
  expect(guard.state()).toMatchObject({ refused: 0, admitted: 40 })
  expect(guard.state().wouldRefuse).toBeGreaterThan(20)
})

each('%s: pipelined probes are told of one by one', async (framework) => {
  const guard = guardOf()
  const site = await siteOf(framework, { shield: guard })
  const probes = repeat(60, (i) => text(`/probe-${i}`))
  await pipeline(site.port, probes, ATTACKER)
  await vi.waitFor(() => expect(guard.isBlocked(ATTACKER)).toBeGreaterThan(0), PATIENCE)
})

it('a client that leaves before it is answered has not failed', async () => {
  const guard = guardOf({ sensitive })
  const limiter = forHttp({ shield: guard })
  const held: ServerResponse[] = []
  const hold = (_: IncomingMessage, response: ServerResponse): void => {
    response.statusCode = 401
    held.push(response)
  }
  const server = createServer(limiter.wrap(hold))
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  for (let i = 0; i < 30; i++) {
    const socket = connect({ host: '127.0.0.1', port, localAddress: ATTACKER })
    socket.write(text('/login'))
    await vi.waitFor(() => expect(held.length).toBe(i + 1), SOON)
    socket.destroy()
    await vi.waitFor(() => expect(held[i]?.destroyed).toBe(true), SOON)
    held[i]?.end()
  }
  expect(guard.isBlocked(ATTACKER)).toBe(0)
})

it('HTTP/2: each stream is a request', async () => {
  const limiter = forHttp({ shield: { mode: 'enforce', sensitive: () => true } })
  const server = createHttp2(limiter.wrap((_, response) => response.writeHead(401).end()) as never)
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => void session.destroy())
  const seen: number[] = []
  for (let i = 0; i < 30; i++) seen.push(await stream(session))
  expect(seen.slice(0, 15)).toEqual(times(15, 401))
  expect(seen.slice(20)).toEqual(times(10, 429))
})

it('two servers that share a guard share its blocks, and count a request once', async () => {
  const guard = guardOf()
  const [one, other] = [
    await siteOf('Fastify 5', { shield: guard }),
    await siteOf('Express 5', { shield: guard }),
  ]
  for (let i = 0; i < 30; i++) await one.ask(`/probe-${i}`, { from: ATTACKER })
  expect((await other.ask('/', { from: ATTACKER })).status).toBe(429)
  const before = guard.state().admitted
  const app = express()
  app.use(forExpress({ shield: guard }))
  app.use(forExpress({ shield: guard, limits: '9/minute' }))
  app.use((request, response) => {
    expect(guard.inspect(request)).toBe(request.shield)
    response.end()
  })
  const limiter = forHttp({ shield: guard })
  const server = createServer(limiter.wrap(app))
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  expect((await fetch(url)).status).toBe(200)
  expect(guard.state().admitted).toBe(before + 1)
})

it('by hand: inspect and outcome, once for each request', async () => {
  const guard = guardOf({ sensitive, trust: 'loopback', clock: new FakeClock() })
  const seen: unknown[] = []
  const server = createServer((request, response) => {
    const verdict = guard.inspect(request)
    seen.push(guard.inspect(request) === verdict)
    guard.outcome(request, 401)
    guard.outcome(request, 200)
    response.writeHead(verdict.status ?? 200).end()
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/login`
  const statuses: number[] = []
  for (let i = 0; i < 20; i++) {
    const headers = { 'x-forwarded-for': '203.0.113.7' }
    statuses.push((await fetch(url, { headers })).status)
  }
  expect(statuses).toEqual(times(15, 200, 5, 429))
  expect(seen.every(Boolean)).toBe(true)
  expect(guard.isBlocked('203.0.113.7')).toBeGreaterThan(0)
  expect(guard.state()).toMatchObject({ admitted: 15, refused: 5 })
})

it('an application that answers a failed login with 200 says so itself', async () => {
  const guard = guardOf({ sensitive })
  const app = express()
  app.use(forExpress({ shield: guard }))
  app.post('/login', (request, response) => {
    guard.outcome(request, 401)
    response.send('wrong password')
  })
  const server = createServer(app)
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/login`
  for (let i = 0; i < 20; i++) await fetch(url, { method: 'POST' })
  expect((await fetch(url, { method: 'POST' })).status).toBe(429)
})

it('of requests that wait behind another on a connection the guard hears too when it closes', async () => {
  const guard = new ScriptedGuard()
  const limiter = forHttp({ shield: guard as never })
  const server = createServer(limiter.wrap(() => {}))
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const socket = connect({ host: '127.0.0.1', port })
  socket.write(repeat(5, (i) => text(`/${i}`)).join(''))
  await vi.waitFor(() => expect(guard.asked.length).toBe(5), SOON)
  socket.destroy()
  await vi.waitFor(() => expect(guard.settled.length).toBe(5), SOON)
  expect(guard.settled.map(([, path, outcome]) => [path, outcome])).toEqual(
    repeat(5, (i) => [`/${i}`, 'dropped']),
  )
})
