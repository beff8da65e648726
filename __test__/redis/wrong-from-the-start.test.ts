import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createHttp } from 'node:http'
import { createServer, type Server as NetServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { run } from '../fixtures/child.ts'
import { Authority, type Certificate } from './certificates.ts'
import { sleep, until } from './faults.ts'
import { freePort, launch, serverForTest, untilListening } from './server.ts'

interface Told {
  warnings: { name: string; code: string; message: string }[]
  changes: [boolean, string][]
  decisions: boolean[]
  status?: { available: boolean; reason: string }
}

/** What a cause hands to the process under test: see outage-child.mjs. */
type Where = { url?: string; ioredis?: object; cluster?: object[]; options?: object }

const SECRET = 's3cret-w0rd'
let authority: Authority

beforeAll(() => {
  authority = new Authority()
})
afterAll(() => authority.remove())

async function toldBy(where: Where & { forMs?: number }): Promise<Told> {
  const { out, err } = await run('redis/outage-child.mjs', [JSON.stringify(where)])
  if (out === '') throw new Error(err)
  return JSON.parse(out)
}

const at = (port: number, before = ''): string => `redis://${before}127.0.0.1:${port}`

async function listenForTest(server: NetServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

async function withUser(...rule: string[]): Promise<Where> {
  const server = await serverForTest()
  await server.admin.acl('SETUSER', 'limiter', 'on', `>${SECRET}`, ...rule)
  return { url: at(server.port, `limiter:${SECRET}@`) }
}

/** A Redis that speaks TLS, with this certificate. */
async function secure({ cert, key }: Certificate): Promise<number> {
  const port = await freePort()
  const files = [
    '--tls-cert-file',
    cert,
    '--tls-key-file',
    key,
    '--tls-ca-cert-file',
    authority.own.cert,
  ]
  await serverForTest('--tls-port', String(port), '--tls-auth-clients', 'no', ...files)
  return port
}

const trusting = (port: number, tls: object = {}): Where => ({
  ioredis: { host: '127.0.0.1', port, tls: { ca: authority.text, ...tls } },
})

/** A server of a cluster that has most slots but not all. */
async function movedFrom(): Promise<number> {
  const other = await serverForTest('--cluster-enabled', 'yes')
  const server = await serverForTest('--cluster-enabled', 'yes')
  await server.admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '9000')
  await other.admin.call('CLUSTER', 'ADDSLOTSRANGE', '9001', '16383')
  await server.admin.call('CLUSTER', 'MEET', '127.0.0.1', String(other.port))
  await until(async () => String(await server.admin.call('CLUSTER', 'INFO')).includes('state:ok'))
  return server.port
}

async function sentinelOf(name: string): Promise<Where> {
  const port = await freePort()
  const file = join(authority.directory, `sentinel-${port}.conf`)
  writeFileSync(file, `port ${port}\nbind 127.0.0.1\n`)
  const child = await launch([file, '--sentinel'])
  onTestFinished(() => void child.kill('SIGKILL'))
  await untilListening(port)
  return { url: `redis+sentinel://127.0.0.1:${port}/${name}` }
}

type Cause = [string, string | RegExp, () => Promise<Where>]

const CAUSES: Cause[] = [
  ['a port where no server listens', 'ECONNREFUSED', async () => ({ url: at(await freePort()) })],
  [
    'a host that does not exist',
    /ENOTFOUND|EAI_AGAIN/,
    async () => ({ url: 'redis://nonexistent.invalid' }),
  ],
  [
    'a server that says nothing',
    'timeout',
    async () => ({ url: at(await listenForTest(createServer(() => {}))) }),
  ],
  [
    'a server that hangs up',
    /hangup|ECONNRESET/,
    async () => ({
      url: at(await listenForTest(createServer((socket) => socket.on('data', () => socket.end())))),
    }),
  ],
  ['a web server', 'garbled', async () => ({ url: at(await listenForTest(createHttp())) })],
  [
    'a wrong password',
    'forbidden',
    async () => {
      const { port } = await serverForTest('--requirepass', 'another')
      return { url: at(port, `:${SECRET}@`) }
    },
  ],
  [
    'no password',
    'forbidden',
    async () => ({ url: at((await serverForTest('--requirepass', SECRET)).port) }),
  ],
  ['no right to EVALSHA', 'forbidden', () => withUser('~*', '+@all', '-eval', '-evalsha')],
  ['no right to TIME', 'forbidden', () => withUser('~*', '+@all', '-time')],
  ['no right to SET', 'forbidden', () => withUser('~*', '+@all', '-set')],
  ['no right to the keys', 'forbidden', () => withUser('~another:*', '+@all')],
  [
    'a command that has another name',
    'forbidden',
    async () => ({
      url: at((await serverForTest('--rename-command', 'EVALSHA', '')).port),
    }),
  ],
  [
    'maximum number of clients',
    'MAXCLIENTS',
    async () => {
      const server = await serverForTest('--maxclients', '1')
      await server.admin.ping()
      return { url: at(server.port) }
    },
  ],
  [
    'TLS at a plain port',
    /ERR_SSL_WRONG_VERSION_NUMBER|ECONNRESET|EPROTO|ERR_TLS_HANDSHAKE_TIMEOUT/,
    async () => ({
      url: at((await serverForTest()).port).replace('redis:', 'rediss:'),
    }),
  ],
  [
    'a plain connection to a port for TLS',
    /hangup|ECONNRESET/,
    async () => ({
      url: at(await secure(authority.issue('plain'))),
    }),
  ],
  [
    'an authority that is not trusted',
    /SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
    async () => ({
      url: `rediss://127.0.0.1:${await secure(authority.issue('untrusted'))}`,
    }),
  ],
  [
    'a certificate signed by itself',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    async () => ({
      url: `rediss://127.0.0.1:${await secure(authority.selfSigned('alone'))}`,
    }),
  ],
  [
    'a certificate for another host',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    async () => trusting(await secure(authority.issue('other', 'DNS:other.example'))),
  ],
  [
    'a certificate that has expired',
    'CERT_HAS_EXPIRED',
    async () => {
      const expired = authority.issue('expired', undefined, '0')
      await sleep(1_500)
      return trusting(await secure(expired))
    },
  ],
  ['a server of a cluster', 'MOVED', async () => ({ url: at(await movedFrom()) })],
  [
    'a cluster where there is none',
    'NOCLUSTER',
    async () => ({
      url: `redis+cluster://127.0.0.1:${(await serverForTest()).port}`,
    }),
  ],
  [
    'a cluster with a wrong password',
    'forbidden',
    async () => ({
      url: `redis+cluster://:${SECRET}@127.0.0.1:${(await serverForTest('--requirepass', 'x')).port}`,
    }),
  ],
  [
    'a cluster where no server listens',
    'ECONNREFUSED',
    async () => ({
      url: `redis+cluster://127.0.0.1:${await freePort()}`,
    }),
  ],
  [
    'a replica',
    'READONLY',
    async () => ({
      url: at((await serverForTest('--replicaof', '127.0.0.1', String(await freePort()))).port),
    }),
  ],
  [
    'a full memory',
    'OOM',
    async () => ({ url: at((await serverForTest('--maxmemory', '1')).port) }),
  ],
  [
    'a database that does not exist',
    'SELECT',
    async () => ({ url: `${at((await serverForTest()).port)}/99` }),
  ],
  ['a primary that Sentinel does not know', 'NOMASTER', () => sentinelOf('unknown')],
  [
    'no Sentinel',
    'ECONNREFUSED',
    async () => ({ url: `redis+sentinel://127.0.0.1:${await freePort()}/limits` }),
  ],
  // The last one, so that it acts alone: a server that loads has little time to answer.
  [
    'a server that loads its data',
    'LOADING',
    async () => {
      const server = await serverForTest()
      const fill = 'for i = 1, 8000 do redis.call("SET", "filler" .. i, string.rep("x", 100)) end'
      await server.admin.eval(fill, 0)
      await server.admin.save()
      const slowly = ['--loading-process-events-interval-bytes', '1024', '--key-load-delay', '2000']
      await server.restart(...slowly)
      return { url: at(server.port) }
    },
  ],
]

/** How many causes act at once: a process waits most of its time. */
const AT_ONCE = 2
const told = new Map<string, PromiseSettledResult<Told>>()

/** What the processes told under this cause and those after it. */
async function tellFrom(first: number): Promise<void> {
  const some = CAUSES.slice(first, first + AT_ONCE)
  const tell = async ([, , cause]: Cause): Promise<Told> => toldBy(await cause())
  const all = await Promise.allSettled(some.map(tell))
  for (const [index, [name]] of some.entries()) {
    told.set(name, all[index] as PromiseSettledResult<Told>)
  }
}

test.for(CAUSES)('%s: one warning, with the reason %s', async ([name, reason]) => {
  if (!told.has(name)) await tellFrom(CAUSES.findIndex((cause) => cause[0] === name))
  const outcome = told.get(name)
  if (outcome?.status !== 'fulfilled') throw outcome?.reason
  const { warnings, changes, status } = outcome.value
  expect(warnings.map(({ name, code }) => [name, code])).toEqual([
    ['RateThrottleWarning', 'RATETHROTTLE_STORE_DOWN'],
  ])
  const [{ message = '' } = {}] = warnings
  expect(message).toMatch(reason)
  expect(message).not.toMatch(/127\.0\.0\.1|nonexistent|s3cret|limiter:|:\d{4,5}/)
  expect(changes).toEqual([[false, expect.stringMatching(reason)]])
  expect(status).toEqual({ available: false, reason: expect.stringMatching(reason) })
})
