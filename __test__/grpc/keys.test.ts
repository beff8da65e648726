import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { allOf, byIp, byMetadata, byUser, firstOf, type GrpcCall } from 'ratethrottle/grpc'
import { describe, expect, test } from 'vitest'
import { addressIn, peerOf } from '../../dist/adapters/grpc/peer.js'
import { connect, serve } from './serve.ts'

// D63: RateThrottle counts all IPv6 peers as one, all Unix sockets as one with them, and believes x-forwarded-for.
describe('the address of a peer', () => {
  test.each([
    ['192.0.2.7:50051', '192.0.2.7'],
    ['ipv4:192.0.2.7:50051', '192.0.2.7'],
    ['192.0.2.7', '192.0.2.7'],
    ['::1:50051', '::1'],
    ['2001:db8:1:2::3:50051', '2001:db8:1:2::3'],
    ['ipv6:[2001:DB8::3]:50051', '2001:db8::3'],
    ['ipv6:%5B2001:db8::3%5D:50051', '2001:db8::3'],
    ['[2001:db8::3]', '2001:db8::3'],
    ['fe80::1%eth0:50051', 'fe80::1'],
    ['::ffff:192.0.2.7:50051', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6'],
    ['unix:/run/service.sock', 'unix'],
    ['unix-abstract:name', 'unix'],
    ['unknown', 'unix'],
    ['', undefined],
    ['ipv4:', undefined],
    ['evil.example:80', undefined],
    ['[]:1', undefined],
    ['a'.repeat(1_000_000), undefined],
    [':'.repeat(100_000), undefined],
    ['ipv6:['.repeat(10_000), undefined],
  ])('%#', (peer, address) => {
    expect(addressIn(peer)).toBe(address)
  })

  test('is that of the socket, and not known for a TCP client that has gone', () => {
    const call = (info: object) => ({
      getPeer: () => '198.51.100.1:1',
      getConnectionInfo: () => info,
    })
    expect(peerOf(call({ remoteAddress: '::ffff:192.0.2.7', localAddress: '::1' }))).toBe(
      '192.0.2.7',
    )
    expect(peerOf(call({}))).toBe('unix')
    expect(peerOf(call({ localAddress: '127.0.0.1', localPort: 1 }))).toBe(undefined)
    expect(peerOf({ getPeer: () => '192.0.2.7:5' })).toBe('192.0.2.7')
  })
})

/** The keys by which calls were counted. */
async function keysOf(options: object, ask: (port: number) => Promise<unknown>, serving = {}) {
  const keys: (string | undefined)[] = []
  const onAdmit = ({ key }: { key: string | undefined }) => keys.push(key)
  const { port } = await serve({ limits: '100/hour', onAdmit, ...options }, serving)
  await ask(port)
  return keys
}

const forged = { metadata: { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.8' } }

test('a client is counted by the address of its socket, whatever it sends', async () => {
  const ask = (port: number) => connect(port).ask('unary', forged)
  expect(await keysOf({}, ask)).toEqual(['127.0.0.1'])
})

test('IPv6 by its /64', async () => {
  const ask = (port: number) => connect(`ipv6:[::1]:${port}`).ask('unary')
  expect(await keysOf({}, ask, { address: '[::1]:0' })).toEqual(['::/64'])
})

test('a Unix-domain socket has a key of its own', async () => {
  const address = `unix:${join(mkdtempSync(join(tmpdir(), 'ratethrottle-grpc-')), 's')}`
  expect(await keysOf({}, () => connect(address).ask('unary', forged), { address })).toEqual([
    'unix',
  ])
})

test.each([
  ['loopback', '203.0.113.7'],
  [{ proxies: 'loopback', header: 'forwarded' }, '203.0.113.8'],
  ['10.0.0.0/8', '127.0.0.1'],
])('trust %j: forwarded addresses count where a trusted proxy wrote them', async (trust, key) => {
  expect(await keysOf({ trust }, (port) => connect(port).ask('unary', forged))).toEqual([key])
})

const named = { metadata: { 'x-api-key': 'k1', 'x-tenant': 'acme', 'x-bin-bin': 'AAAA' } }

test.each([
  [byMetadata('X-Api-Key'), 'header:x-api-key:k1'],
  [({ metadata }: GrpcCall) => metadata.get('x-tenant')[0]?.toString(), 'acme'],
  [async ({ method }: GrpcCall) => method, '/test.Echo/Unary'],
  [firstOf(byMetadata('x-nothing'), byIp()), '127.0.0.1'],
  [allOf(byMetadata('x-tenant'), byIp()), '20:header:x-tenant:acme9:127.0.0.1'],
  [
    byUser(({ requestStream, peer }: GrpcCall) => `${requestStream} ${peer.split(':')[0]}`),
    'user:false 127.0.0.1',
  ],
])('a key of your own: %#', async (key, expected) => {
  expect(await keysOf({ key }, (port) => connect(port).ask('unary', named))).toEqual([expected])
})

test.each([
  [{ key: byMetadata('x-nothing'), missingKey: 'deny' }, status.UNAUTHENTICATED, 0],
  [{ key: byMetadata('x-nothing'), missingKey: 'ip' }, status.OK, 1],
  [{ key: byMetadata('x-nothing'), missingKey: 'shared' }, status.OK, 1],
  [{ key: failing, onKeyError: 'deny' }, status.INTERNAL, 0],
  [{ key: failing }, status.OK, 1],
  [{ key: async () => failing(), onKeyError: 'deny' }, status.INTERNAL, 0],
  [{ key: () => new Promise(() => {}), keyTimeoutMs: 5, onKeyError: 'deny' }, status.INTERNAL, 0],
] as const)(
  'a call without a key is served as the options say: %#',
  async (options, code, runs) => {
    const { port, seen } = await serve({
      limits: '9/hour',
      onError: () => {},
      ...(options as object),
    })
    const ended = await connect(port).ask('chat')
    expect([ended.code, seen.runs]).toEqual([code, runs])
    // Nothing of the error, which may have a secret.
    expect(ended.details).not.toContain('swordfish')
  },
)

function failing(): never {
  throw new Error('password swordfish')
}

test('what a key function sees of a call', async () => {
  let seen: { readonly host?: string } = {}
  const key = (call: GrpcCall) => {
    const { address, host, deadline, responseStream } = call
    const hasDeadline = Number(deadline) > Date.now()
    seen = { host, ...{ address, hasDeadline, responseStream } }
    return 'key'
  }
  const ask = (port: number) => connect(port).ask('download', { deadlineMs: 10_000 })
  await keysOf({ key }, ask)
  expect(seen).toMatchObject({ address: '127.0.0.1', hasDeadline: true, responseStream: true })
  expect(seen.host).toMatch(/^127\.0\.0\.1:\d+$/)
})
