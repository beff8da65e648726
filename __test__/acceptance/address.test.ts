import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { expectWarnings } from '../fixtures/warnings.ts'
import { times } from '../http/client.ts'
import { FRAMEWORKS, type Options, SERVERS, type Site, serveSite } from '../http/serve.ts'

expectWarnings('RATETHROTTLE_STRAY_FORWARDED_FOR')

const routes = [{ path: '/' }]
const PEER = '127.0.0.1'

/** The client as which a server counts a request with these headers. */
async function callerOf(
  framework: Parameters<typeof serveSite>[0],
  site: Omit<Site, 'routes' | 'options'> & { readonly trust?: Options['trust'] },
  headers: Record<string, string>,
): Promise<unknown> {
  const { trust, ...more } = site
  const keys: unknown[] = []
  const onAdmit: Options['onAdmit'] = ({ key }: { key: unknown }) => {
    keys.push(key)
  }
  const options = { limits: '9/minute', onAdmit, ...(trust === undefined ? {} : { trust }) }
  const { ask } = await serveSite(framework, { ...more, options, routes })
  // Whatever the headers say, the request is served.
  expect((await ask('/', { headers })).status).toBe(200)
  expect(keys).toHaveLength(1)
  return keys[0]
}

/** A server's own setting, and ours in its place. */
const WAYS = [
  ...FRAMEWORKS.map((framework) => [framework, 'its own setting', 'proxy'] as const),
  ...SERVERS.map((framework) => [framework, 'option trust', 'trust'] as const),
]

describe.each(SERVERS)('%s: the client address', (framework) => {
  it('without proxy headers the address of the socket is the client', async () => {
    expect(await callerOf(framework, {}, {})).toBe(PEER)
    expect(await callerOf(framework, { trust: 'loopback' }, {})).toBe(PEER)
  })

  it('all requests over a Unix-domain socket, which has no address, are one caller', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ratethrottle-'))
    const options = { limits: '2/minute', clock: new FakeClock() }
    const served = await serveSite(framework, { options, routes, socket: join(folder, 'socket') })
    expect(await served.statuses(3)).toEqual(times(2, 200, 1, 429))
    await rm(folder, { recursive: true })
  })

  it.each([
    ['deny', times(3, 400), times(3, 400)],
    ['shared', times(2, 200, 1, 429), times(3, 429)],
    ['ip', times(2, 200, 1, 429), times(2, 200, 1, 429)],
  ] as const)('without a key missingKey "%s" decides', async (...row) => {
    const [missingKey, first, second] = row
    const options = { limits: '2/minute', clock: new FakeClock(), missingKey, key: () => undefined }
    const { statuses } = await serveSite(framework, { options, routes })
    expect(await statuses(3)).toEqual(first)
    expect(await statuses(3, '/', { from: '127.0.0.2' })).toEqual(second)
  })

  it.each([
    ['one entry', { 'x-forwarded-for': '203.0.113.7' }],
    ['several entries', { 'x-forwarded-for': '203.0.113.7, 198.51.100.2' }],
    ['X-Real-IP', { 'x-real-ip': '203.0.113.7' }],
    ['both', { 'x-forwarded-for': '203.0.113.7', 'x-real-ip': '198.51.100.2' }],
    ['Forwarded', { forwarded: 'for=203.0.113.7' }],
  ])('without a trusted proxy %s has no effect', async (_, headers) => {
    expect(await callerOf(framework, {}, headers)).toBe(PEER)
    expect(await callerOf(framework, { trust: '10.0.0.0/8' }, headers)).toBe(PEER)
  })

  it('one header is read, and must be named if it is not X-Forwarded-For', async () => {
    const both = { 'x-forwarded-for': '203.0.113.7', 'x-real-ip': '198.51.100.2' }
    const realIp = { proxies: 'loopback', header: 'x-real-ip' }
    expect(await callerOf(framework, { trust: 'loopback' }, both)).toBe('203.0.113.7')
    expect(await callerOf(framework, { trust: realIp }, both)).toBe('198.51.100.2')
    const alone = { 'x-real-ip': '198.51.100.2' }
    expect(await callerOf(framework, { trust: 'loopback' }, alone)).toBe(PEER)
  })

  it('a forged X-Forwarded-For from a peer that is not a trusted proxy has no effect', async () => {
    const options = { limits: '2/minute', clock: new FakeClock() }
    const { ask } = await serveSite(framework, { options, routes })
    const seen: number[] = []
    for (let i = 1; i <= 6; i++) {
      const headers = { 'x-forwarded-for': `203.0.113.${i}`, 'x-real-ip': `203.0.113.${i}` }
      seen.push((await ask('/', { headers })).status)
    }
    expect(seen).toEqual(times(2, 200, 4, 429))
  })
})

describe.each(WAYS)('%s: a trusted proxy, by %s', (framework, _, way) => {
  it.each([
    ['one entry', '203.0.113.7', '203.0.113.7'],
    ['several entries: the nearest', '6.6.6.6, 203.0.113.7', '203.0.113.7'],
    ['none', '', PEER],
  ])('X-Forwarded-For gives the client, %s', async (_name, chain, expected) => {
    const headers = { 'x-forwarded-for': chain }
    expect(await callerOf(framework, { [way]: [PEER] }, headers)).toBe(expected)
  })

  it('of 10.0.0.1, 203.0.113.1, 10.0.0.2 the client is 203.0.113.1', async () => {
    const headers = { 'x-forwarded-for': '10.0.0.1, 203.0.113.1, 10.0.0.2' }
    const proxies = [PEER, '10.0.0.1', '10.0.0.2']
    expect(await callerOf(framework, { [way]: proxies }, headers)).toBe('203.0.113.1')
  })

  it('entries that a client writes in front of the chain have no effect', async () => {
    const options = { limits: '2/minute', clock: new FakeClock() }
    const proxies = [PEER]
    const site =
      way === 'trust' ? { options: { ...options, trust: proxies } } : { options, proxy: proxies }
    const { ask } = await serveSite(framework, { ...site, routes })
    const from = (chain: string) => ask('/', { headers: { 'x-forwarded-for': chain } })
    const seen: number[] = []
    for (let i = 1; i <= 6; i++) seen.push((await from(`6.6.6.${i}, 203.0.113.1`)).status)
    expect(seen).toEqual(times(2, 200, 4, 429))
    expect((await from('6.6.6.1, 203.0.113.2')).status).toBe(200)
  })
})
