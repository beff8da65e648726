import { afterAll, beforeAll, expect, test } from 'vitest'
import { asClient, clientOf, clusterClientOf, VERSIONS } from '../adapters/guarded.ts'
import { run } from '../fixtures/child.ts'
import { Authority, type Certificate } from './certificates.ts'
import { failures, limiterForTest, until, untilExact } from './faults.ts'
import { freePort, type Server, serverForTest } from './server.ts'

let authority: Authority

beforeAll(() => {
  authority = new Authority()
})
afterAll(() => authority.remove())

interface Secure {
  readonly server: Server
  readonly port: number
}

/** A Redis that speaks TLS beside plain TCP. */
async function secureServer({ cert, key }: Certificate, ...settings: string[]): Promise<Secure> {
  const port = await freePort()
  const files = ['--tls-cert-file', cert, '--tls-key-file', key]
  const trusted = ['--tls-ca-cert-file', authority.own.cert]
  const server = await serverForTest('--tls-port', String(port), ...files, ...trusted, ...settings)
  return { server, port }
}

const anyone = ['--tls-auth-clients', 'no']

test('rediss: trusts the authority that NODE_EXTRA_CA_CERTS names, and no other', async () => {
  const { port } = await secureServer(authority.issue('url'), ...anyone)
  const url = `rediss://127.0.0.1:${port}`
  const trusting = await run('redis/short-lived.mjs', [url, '7'], {
    NODE_EXTRA_CA_CERTS: authority.own.cert,
  })
  const other = await run('redis/short-lived.mjs', [url, '1'])
  expect(JSON.parse(trusting.out)).toMatchObject({ admitted: 5, failures: { disconnected: 0 } })
  expect(JSON.parse(other.out)).toMatchObject({ failures: { disconnected: 1 } })
  expect(other.err).toMatch(/RATETHROTTLE_STORE_DOWN.*NODE_EXTRA_CA_CERTS/)
})

test('the connection made from a given client uses its authority and its certificate', async () => {
  const { port } = await secureServer(authority.issue('mutual'), '--tls-auth-clients', 'yes')
  const { cert, key } = authority.issue('client')
  const tls = { ca: authority.text, cert: authority.read(cert), key: authority.read(key) }
  for (const version of VERSIONS) {
    const client = asClient(clientOf(version, { host: '127.0.0.1', port, tls }))
    const limiter = limiterForTest('5/hour', { client, name: version, deadlineMs: 2_000 })
    let admitted = 0
    for (let call = 0; call < 7; call++) if ((await limiter.check('k')).allowed) admitted++
    expect([version, admitted, failures(limiter)]).toEqual([version, 5, 0])
  }
  const without = asClient(clientOf('ioredis 6', { port, tls: { ca: authority.text } }))
  const refused = limiterForTest('5/hour', { client: without, connectTimeoutMs: 500 })
  const { available, reason } = await refused.ready()
  expect(available).toBe(false)
  expect(reason).toMatch(/^(ERR_SSL_|ECONNRESET|hangup)/)
})

test('a broken TLS connection is made again', async () => {
  const { port, server } = await secureServer(authority.issue('again'), ...anyone)
  const client = asClient(clientOf('ioredis 6', { port, tls: { ca: authority.text } }))
  const limiter = limiterForTest('1000/hour', { client, name: 'again' })
  await untilExact(limiter)
  await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until(() => limiter.stats().outages > 0)
  await untilExact(limiter)
})

test('limits are exact over a cluster with TLS', async () => {
  const { port, server } = await secureServer(
    authority.issue('cluster'),
    ...anyone,
    ...['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', '--tls-cluster', 'yes'],
  )
  await server.admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until(async () => String(await server.admin.call('CLUSTER', 'INFO')).includes('state:ok'))
  for (const version of VERSIONS) {
    const client = asClient(clusterClientOf(version, port, { tls: { ca: authority.text } }))
    const limiter = limiterForTest('5/hour', { client, name: version, deadlineMs: 2_000 })
    let admitted = 0
    for (let call = 0; call < 7; call++) if ((await limiter.check('k')).allowed) admitted++
    expect([version, admitted, failures(limiter)]).toEqual([version, 5, 0])
  }
})
