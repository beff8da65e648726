import { type AddressFunction, rateThrottle, TRUST_EVERYBODY } from 'ratethrottle/web'
import { afterEach, expect, test } from 'vitest'
import { warnings } from '../../fixtures/warned.ts'
import { ask, deno, RUNTIMES } from './requests.ts'

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any

const warned = warnings()
afterEach(async () => {
  // Warnings come a turn later.
  await new Promise(setImmediate)
  warned.all.length = 0
})

/** The statuses of one request from each of these: what the handler gets beside it, and its headers. */
async function statuses(
  options: Any,
  ...from: [info: unknown, headers?: Any][]
): Promise<number[]> {
  const limiter = rateThrottle({ limits: '1/hour', ...options })
  const handler = limiter.wrap(() => new Response('served'))
  const seen: number[] = []
  for (const [info, headers] of from) seen.push((await handler(ask(headers), info)).status)
  limiter.close()
  return seen
}

test.each(Object.entries(RUNTIMES))(
  '%s tells the address; IPv6 counts by /64, and IPv4 in IPv6 as IPv4',
  async (_, infoOf) => {
    const addresses = [
      '192.0.2.1',
      '::ffff:192.0.2.1',
      '2001:db8::1',
      '2001:db8::2',
      '2001:db8:0:1::',
    ]
    const seen = await statuses({}, ...addresses.map((one): [unknown] => [infoOf(one)]))
    expect(seen).toEqual([200, 429, 200, 429, 200])
  },
)

test('srvx keeps what its runtime says on the request itself', async () => {
  const limiter = rateThrottle({ limits: '1/hour' })
  const runtimes = [
    { node: { req: { socket: { remoteAddress: '192.0.2.1' } } } },
    { deno: { info: deno('192.0.2.1') } },
    { bun: { server: RUNTIMES['Bun.serve']('192.0.2.2') } },
  ]
  const seen: unknown[] = []
  for (const runtime of runtimes) {
    const { response } = await limiter.check(Object.assign(ask(), { runtime }))
    seen.push(response?.status)
  }
  expect(seen).toEqual([undefined, 429, undefined])
})

test('clients of a Unix-domain socket are one, as on Node', async () => {
  const unix = { remoteAddr: { transport: 'unix', path: '/run/x' } }
  const ofBun = { requestIP: () => null, port: undefined }
  expect(await statuses({}, [unix], [ofBun], [unix])).toEqual([200, 429, 429])
})

test.each([
  ['nothing', undefined],
  ['an object that says nothing', {}],
  ['a text', '192.0.2.1'],
  ['no address', deno('not an address')],
  [
    'a header for an address',
    { remoteAddress: '192.0.2.1', ip: '192.0.2.1', address: '192.0.2.1' },
  ],
  ['what only looks like a connection', { incoming: {}, node: {}, remoteAddr: null }],
])(
  '%s beside the request: refused with 400 and one warning, or counted as missingKey says',
  async (_, info) => {
    const forged = { 'x-forwarded-for': '198.51.100.7', 'cf-connecting-ip': '198.51.100.8' }
    expect(await statuses({}, [info], [info, forged], [info])).toEqual([400, 400, 400])
    expect((await warned.of('RATETHROTTLE_NO_ADDRESS')).length).toBe(1)
    expect(await statuses({ missingKey: 'ip' }, [info])).toEqual([400])
    expect(await statuses({ missingKey: 'shared' }, [info], [info, forged])).toEqual([200, 429])
    expect(warned.all.some(({ message }) => message.includes('198.51'))).toBe(false)
  },
)

test('a key function needs no address', async () => {
  const options = { key: (request: Request) => request.headers.get('x-user') }
  const [ada, bob] = [{ 'x-user': 'ada' }, { 'x-user': 'bob' }]
  expect(await statuses(options, [{}, ada], [{}, bob], [{}, ada])).toEqual([200, 200, 429])
  await new Promise(setImmediate)
  expect(warned.all.filter(({ code }) => code === 'RATETHROTTLE_NO_ADDRESS')).toEqual([])
})

const FUNCTIONS: Record<string, [AddressFunction<Any>, number[]]> = {
  'that finds it': [(_, info) => info.mine, [200, 200, 429]],
  'that finds none': [() => undefined, [400, 400, 400]],
  'that finds null': [() => null, [400, 400, 400]],
  'that returns what a client wrote': [
    (request) => request.headers.get('x-real-ip'),
    [400, 400, 400],
  ],
  'that returns a promise': [(async () => '192.0.2.1') as never, [400, 400, 400]],
  'that returns a megabyte': [() => '1'.repeat(1_000_000), [400, 400, 400]],
  'that throws': [
    () => {
      throw new Error('no')
    },
    [500, 500, 500],
  ],
}

test.each(Object.entries(FUNCTIONS))('option address %s', async (_, [address, expected]) => {
  const [one, other] = [{ mine: '192.0.2.1' }, { mine: '2001:db8::1' }]
  const headers = { 'x-real-ip': "192.0.2.1'; drop" }
  expect(await statuses({ address }, [one, headers], [other, headers], [one, headers])).toEqual(
    expected,
  )
})

test('option address is checked, and holds for limit(...) too', async () => {
  for (const address of ['x-real-ip', null, {}, 5]) {
    const make = () => rateThrottle({ limits: '1/hour', address: address as never })
    expect(make).toThrow(/^address must be a function, got /)
  }
  const route = rateThrottle({ address: (_, info) => info.ip }).limit('1/hour')
  const seen = []
  for (const ip of ['192.0.2.1', '192.0.2.2', '192.0.2.1']) {
    seen.push((await route.check(ask(), { ip })).response?.status)
  }
  expect(seen).toEqual([undefined, undefined, 429])
  const inherited = Object.create({ address: () => '192.0.2.1' })
  expect(await statuses(Object.assign(inherited, { limits: '1/hour' }), [{}])).toEqual([400])
})

const PROXY = '10.0.0.1'

test('forwarded addresses count where trust names the proxy, and any header that it names', async () => {
  const via = (client: string): [unknown, object] => [
    deno(PROXY),
    { 'x-forwarded-for': `203.0.113.9, ${client}` },
  ]
  const twice = [via('198.51.100.1'), via('198.51.100.2'), via('198.51.100.1')]
  expect(await statuses({ trust: '10.0.0.0/8' }, ...twice)).toEqual([200, 200, 429])
  expect(await statuses({}, ...twice)).toEqual([200, 429, 429])
  const cloudflare = { trust: { proxies: '10.0.0.0/8', header: 'cf-connecting-ip' } }
  const from = (ip: string, peer = PROXY): [unknown, object] => [
    deno(peer),
    { 'cf-connecting-ip': ip, 'x-forwarded-for': '203.0.113.9' },
  ]
  expect(
    await statuses(cloudflare, from('198.51.100.1'), from('198.51.100.2'), from('198.51.100.1')),
  ).toEqual([200, 200, 429])
  // One that reaches the server itself chooses nothing.
  expect(
    await statuses(
      cloudflare,
      from('198.51.100.1', '192.0.2.1'),
      from('198.51.100.2', '192.0.2.1'),
    ),
  ).toEqual([200, 429])
})

test('where the runtime tells no address, forwarded ones count by the last hop if whoever connects is trusted', async () => {
  const via = (list: string): [unknown, object] => [undefined, { 'x-forwarded-for': list }]
  const forged = [via('203.0.113.1, 198.51.100.1'), via('203.0.113.2, 198.51.100.1')]
  for (const trust of ['unix', { proxies: TRUST_EVERYBODY, hops: 1 }]) {
    expect(await statuses({ trust }, ...forged, via('198.51.100.2'))).toEqual([200, 429, 200])
    expect(await statuses({ trust }, [undefined], via('not an address'))).toEqual([400, 400])
  }
  expect(await statuses({ trust: '10.0.0.0/8' }, ...forged)).toEqual([400, 400])
})
