import { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import { TRUST_EVERYBODY } from 'ratethrottle/express'
import { describe, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { admitted, pipeline, repeat, statuses, text } from '../http/client.ts'
import { FRAMEWORKS, type Options, type Place, serve } from '../http/serve.ts'

const N = 5
const REQUESTS = byLength(250, 1_000)
const FORGED = repeat(REQUESTS, (i) =>
  text('/', { 'x-forwarded-for': `198.51.${i >> 8}.${i & 255}` }),
)

/** How many of these requests pass, each of which says that it comes from somewhere else. */
async function passed(
  name: (typeof FRAMEWORKS)[number],
  options: Options,
  around: Place = {},
): Promise<number> {
  const { port, runs } = await serve(name, { limits: `${N}/day`, ...options }, around)
  const seen = await pipeline(port, FORGED)
  expect(seen).toHaveLength(REQUESTS)
  expect(seen.filter((status) => status === 200)).toHaveLength(runs())
  return runs()
}

/** Every kind of setting that the frameworks take. Only a list with the peer in it names a proxy. */
const PROXY_SETTINGS: readonly [string, unknown][] = [
  ['nothing', undefined],
  ['false', false],
  ['true', true],
  ['1', 1],
  ['2', 2],
  ['a list without the peer', '10.0.0.0/8, 192.168.0.0/16'],
  ['an array without the peer', ['10.0.0.0/8']],
  ['a function that trusts all addresses', () => true],
  ['a function that trusts one hop', (_: string, hop: number) => hop < 1],
  ['a function that trusts no address', () => false],
  ['all of IPv4 in halves', ['0.0.0.0/1', '128.0.0.0/1']],
]
const TRUST: readonly [string, Options['trust']][] = [
  ['a range without the peer', '10.0.0.0/8'],
  ['a list without the peer', ['10.0.0.0/8', '127.0.0.2']],
  ['an empty list', []],
  ['hops after a range without the peer', { proxies: '10.0.0.0/8', hops: 1 }],
  ['another header of the peer', { proxies: 'loopback', header: 'forwarded' }],
]

describe.each(FRAMEWORKS)('%s', (name) => {
  it.each(PROXY_SETTINGS)(
    'a forged X-Forwarded-For has no effect with the proxy setting %s (H1)',
    async (_, proxy) => {
      expect(await passed(name, {}, { proxy })).toBe(N)
    },
  )

  it.each(TRUST)(
    'a forged X-Forwarded-For has no effect with trust: %s, even if the framework trusts it (H1)',
    async (_, trust) => {
      expect(await passed(name, { trust }, { proxy: 'loopback' })).toBe(N)
    },
  )

  it('a header is trusted only if the peer is named or TRUST_EVERYBODY is set (H1)', async () => {
    expect(await passed(name, {}, { proxy: 'loopback' })).toBe(REQUESTS)
    expect(await passed(name, { trust: 'loopback' })).toBe(REQUESTS)
    expect(await passed(name, { trust: TRUST_EVERYBODY })).toBe(REQUESTS)
  })

  it('behind a named proxy the entry that the proxy wrote is the client, with any entries left of it (H1)', async () => {
    for (const around of [{ proxy: 'loopback' }, {}]) {
      const { port } = await serve(name, { limits: `${N}/day`, trust: 'loopback' }, around)
      const texts = repeat(REQUESTS, (i) =>
        text('/', { 'x-forwarded-for': `198.51.${i >> 8}.${i & 255}, 203.0.113.9` }),
      )
      const seen = await pipeline(port, texts)
      expect(seen.filter((status) => status === 200)).toHaveLength(N)
    }
  })

  it('a proxy range of all IPv6 is not followed: a client over ::1 cannot choose its address (H1)', async () => {
    const proxy = ['::/1', '8000::/1']
    const { port } = await serve(name, { limits: `${N}/day` }, { proxy, host: '::1' })
    const forged = repeat(50, (i) => ({
      host: '::1',
      headers: { 'x-forwarded-for': `2001:db8:${i}::1` },
    }))
    expect(await admitted(port, forged)).toBe(N)
  })

  it('one trusted hop trusts the proxy, and no client that bypasses it (H2)', async () => {
    const trust = { proxies: '127.0.0.2', hops: 1 }
    const { port } = await serve(name, { limits: `${N}/day`, trust }, { host: '0.0.0.0' })
    const headers = (i: number) => ({ 'x-forwarded-for': `198.51.100.${i}` })
    const attack = repeat(50, (i) => ({ from: '127.0.0.3', headers: headers(i) }))
    expect(await admitted(port, attack)).toBe(N)
    const proxied = repeat(50, (i) => ({ from: '127.0.0.2', headers: headers(i) }))
    expect(await admitted(port, proxied)).toBe(50)
  })

  it('ports, brackets and invalid text behind a named proxy do not make clients (H3)', async () => {
    const junk = (i: number): string =>
      [`garbage${i}`, `"${i}"`, `[::${i}`, `1.2.3.${i + 256}`, `0x7f.${i}`, `${i}`, `::1%${i}`][
        i % 7
      ] ?? ''
    for (const around of [{ proxy: 'loopback' }, {}]) {
      const options = around.proxy === undefined ? { trust: 'loopback' } : {}
      const { port } = await serve(name, { limits: `${N}/day`, ...options }, around)
      const from = (value: string) => ({ headers: { 'x-forwarded-for': value } })
      expect(
        await admitted(
          port,
          repeat(140, (i) => from(junk(i))),
        ),
      ).toBe(N)
      const ports = repeat(50, (i) => from(`198.51.100.99:${1000 + i}`))
      expect(await admitted(port, ports)).toBe(N)
      const spellings = [
        '198.51.100.7',
        '[::ffff:198.51.100.7]:80',
        '::ffff:c633:6407',
        '::ffff:198.51.100.7',
      ]
      expect(
        await admitted(
          port,
          repeat(20, (i) => from(spellings[i % 4] ?? '')),
        ),
      ).toBe(N)
    }
  })

  it('Forwarded is read where it is the named header, over several lines too (H4)', async () => {
    const trust = { proxies: 'loopback', header: 'forwarded' }
    const { port } = await serve(name, { limits: '1/day', trust })
    const from = (forwarded: string | string[]) => ({
      headers: { forwarded, 'x-forwarded-for': String(Math.random()) },
    })
    expect(await statuses(port, 2, from('for=192.0.2.43;proto=http;by=203.0.113.43'))).toEqual([
      200, 429,
    ])
    expect(await statuses(port, 1, from('For="192.0.2.43:47011"'))).toEqual([429])
    expect(await statuses(port, 1, from(['for=_secret', 'for=192.0.2.43']))).toEqual([429])
    expect(await statuses(port, 2, from('for="[2001:db8:cafe::17]:4711"'))).toEqual([200, 429])
    // What hides its sender is the proxy's own business.
    expect(await statuses(port, 1, from('for=unknown'))).toEqual([200])
    for (const hidden of [
      'for=_b',
      'for=unknown',
      'for="',
      'by=1.2.3.4',
      'for=1.2.3.4;for=5.6.7.8',
    ]) {
      expect(await statuses(port, 1, from(hidden)), hidden).toEqual([429])
    }
  })

  it('on a dual-stack socket each IPv4 client has a separate budget (H6)', async () => {
    const { port } = await serve(name, { limits: '1/day' }, { host: '::' })
    for (const from of ['127.0.0.2', '127.0.0.3']) {
      expect(await statuses(port, 2, { from })).toEqual([200, 429])
    }
  })

  it('a client that disconnects before the limiter runs is neither counted nor served (H9)', async () => {
    let came = (): void => {}
    let left = (): void => {}
    const arrival = new Promise<void>((resolve) => {
      came = resolve
    })
    const departure = new Promise<void>((resolve) => {
      left = resolve
    })
    const before = (request: IncomingMessage): void | Promise<void> => {
      if (request.url !== '/gone') return
      came()
      return new Promise((resolve) => {
        request.socket.once('close', () => setImmediate(resolve))
        request.socket.once('close', () => setTimeout(left, 10))
      })
    }
    const around = { before, routes: [{ path: '/gone' }] }
    const { port, runs } = await serve(name, { limits: '1/day' }, around)
    const socket = connect(port, '127.0.0.1', () => socket.write(text('/gone')))
    await arrival
    socket.destroy()
    await departure
    expect(await statuses(port, 2)).toEqual([200, 429])
    expect(runs()).toBe(1)
  })
})

it('a proxy range of all public IPv6 is not followed, whatever else is trusted (H1)', async () => {
  for (const name of FRAMEWORKS) {
    const { server, runs } = await serve(name, { limits: `${N}/day` }, { proxy: ['2000::/3'] })
    for (let i = 0; i < 50; i++) {
      // No machine here has such an address, so the socket only says that it has.
      const socket = Object.assign(new Duplex(), { remoteAddress: '2600::1', destroyed: false })
      const request = new IncomingMessage(socket as never)
      Object.assign(request, { method: 'GET', url: '/', httpVersionMajor: 1, httpVersionMinor: 1 })
      request.headers = { host: 'localhost', 'x-forwarded-for': `2600:${i}::1` }
      server.emit('request', request, new ServerResponse(request))
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(runs(), name).toBe(N)
  }
})
