import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5'
import type { RedisClient } from 'ratethrottle/redis'
import { onTestFinished } from 'vitest'
import { until } from '../redis/faults.ts'
import { freePort, type Server, startServerOn } from '../redis/server.ts'

/** The versions of ioredis that users have. */
export const VERSIONS = ['ioredis 6', 'ioredis 5'] as const
export type Version = (typeof VERSIONS)[number]

/** Their types differ in parts that these tests do not use. */
interface Library {
  readonly Redis: new (options: object) => Redis
  readonly Cluster: new (nodes: object[], options: object) => Cluster
}

const LIBRARIES = {
  'ioredis 6': { Redis, Cluster },
  'ioredis 5': { Redis: Redis5, Cluster: Cluster5 },
} as unknown as Record<Version, Library>

/** A client as a user makes it, which is closed at the end of the test. */
export function clientOf(version: Version, options: object): Redis {
  const client = new LIBRARIES[version].Redis({ lazyConnect: true, ...options })
  client.on('error', () => {})
  onTestFinished(() => client.disconnect())
  return client
}

/** A user's cluster client, which is closed at the end of the test. */
export function clusterClientOf(version: Version, port: number, redisOptions: object): Cluster {
  const options = { lazyConnect: true, redisOptions, slotsRefreshTimeout: 5_000 }
  const client = new LIBRARIES[version].Cluster([{ host: '127.0.0.1', port }], options)
  client.on('error', () => {})
  onTestFinished(() => client.disconnect())
  return client
}

export function asClient(client: Redis | Cluster): RedisClient {
  return client as unknown as RedisClient
}

/** A server with a password, and a client that knows it. */
export interface Guarded {
  readonly server: Server
  readonly port: number
  readonly admin: Redis
}

/** Starts a server whose default user has this password, for one test. */
export async function guardedServer(password: string, ...settings: string[]): Promise<Guarded> {
  const guard = password === '' ? [] : ['--requirepass', password, '--masterauth', password]
  const server = await startServerOn(await smallPort(), ...guard, ...settings)
  onTestFinished(() => server.stop())
  const admin = new Redis({ port: server.port, password, retryStrategy: () => 50 } as object)
  admin.on('error', () => {})
  onTestFinished(() => admin.disconnect())
  return { server, port: server.port, admin }
}

/** A server that has met no other does not know its own address. */
const CLUSTERED = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']

/** A cluster of one server that holds all slots. */
export async function guardedCluster(password: string, ...settings: string[]): Promise<Guarded> {
  const guarded = await guardedServer(password, ...CLUSTERED, ...settings)
  await guarded.admin.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until(async () => String(await guarded.admin.call('CLUSTER', 'INFO')).includes('state:ok'))
  return guarded
}

/** The cluster bus is 10,000 above the port. */
async function smallPort(): Promise<number> {
  for (;;) {
    const port = await freePort()
    if (port < 55_000) return port
  }
}

/** Keys in a database, except those in which processes are counted. */
export async function keysIn(admin: Redis, db: number): Promise<string[]> {
  const reader = admin.duplicate({ db })
  try {
    const keys = await reader.keys('*')
    return keys.filter((key) => !key.includes('{processes}'))
  } finally {
    reader.disconnect()
  }
}
