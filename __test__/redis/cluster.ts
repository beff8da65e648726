import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Redis } from 'ioredis'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from './faults.ts'
import { freePort, GUARD, guardSettings, type Server, startServerOn } from './server.ts'

const run = promisify(execFile)
const NODE_TIMEOUT_MS = 4_000

/** Three primaries and three replicas. */
export interface TestCluster {
  /** As the user that docs/guides/cluster-and-redis.md describes. */
  readonly url: string
  readonly servers: readonly Server[]
  /** The server that holds a slot now. */
  ownerOf(slot: number): Promise<Server>
  /** Replicas that are connected, as every server sees it: the fewest of all. */
  replicas(): Promise<number>
  stop(): Promise<void>
}

/** A port whose cluster bus, 10,000 above it, is a port too. */
async function clusterPort(): Promise<number> {
  for (;;) {
    const port = await freePort()
    if (port < 55_000) return port
  }
}

/** Starts a cluster and waits until it is whole. */
export async function startCluster(): Promise<TestCluster> {
  const ports = [0, 1, 2, 3, 4, 5].map(() => clusterPort())
  const timeout = ['--cluster-node-timeout', String(NODE_TIMEOUT_MS)]
  const settings = ['--cluster-enabled', 'yes', ...timeout, ...guardSettings()]
  const servers = await Promise.all(
    ports.map(async (port) => startServerOn(await port, ...settings)),
  )
  const hosts = servers.map(({ port }) => `127.0.0.1:${port}`)
  const create = ['--cluster', 'create', ...hosts, '--cluster-replicas', '1', '--cluster-yes']
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()))
  }
  try {
    await run('redis-cli', ['-a', GUARD.password, '--no-auth-warning', ...create])
    await Promise.all(
      servers.map(({ admin }) => until(() => isWhole(admin), PATIENCE, 'the cluster')),
    )
  } catch (error) {
    await stop()
    throw error
  }
  return {
    url: `redis+cluster://${GUARD.user}:${GUARD.userPassword}@${hosts.slice(0, 3).join(',')}`,
    servers,
    ownerOf: (slot) => ownerOf(servers, slot),
    replicas: async () =>
      Math.min(...(await Promise.all(servers.map(({ admin }) => replicasOf(admin))))),
    stop,
  }
}

async function isWhole(admin: Redis): Promise<boolean> {
  const info = String(await admin.call('CLUSTER', 'INFO'))
  return info.includes('cluster_state:ok') && (await replicasOf(admin)) === 3
}

async function replicasOf(admin: Redis): Promise<number> {
  const nodes = String(await admin.call('CLUSTER', 'NODES').catch(() => ''))
  return nodes.split('\n').filter((line) => /slave (?!.*fail).* connected$/.test(line)).length
}

async function ownerOf(servers: readonly Server[], slot: number): Promise<Server> {
  for (const server of servers) {
    const slots = (await server.admin.call('CLUSTER', 'SLOTS').catch(() => [])) as Range[]
    const range = slots.find(([from, to]) => from <= slot && slot <= to)
    const owner = servers.find(({ port }) => port === range?.[2][1])
    if (owner !== undefined) return owner
  }
  throw new Error(`no server holds slot ${slot}`)
}

type Range = [number, number, [string, number]]
