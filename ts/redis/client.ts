import { mustBe } from '../errors.ts'
import type { Address } from './address.ts'

/** An ioredis client or cluster, as much of it as tells that it is one. */
export interface RedisClient {
  readonly status: string
  duplicate(...args: never[]): unknown
  evalsha(...args: never[]): unknown
}

/** What is used of a connection of our own. ioredis' `Redis` and `Cluster` both have it. */
export interface Link {
  readonly status: string
  readonly options: { readonly keyPrefix?: string; readonly host?: string; readonly port?: number }
  readonly isCluster?: boolean
  /** Of a cluster: the nodes of each slot as `host:port`, the primary first. */
  readonly slots?: readonly (readonly string[] | undefined)[]
  readonly stream?: { cork?(): void; uncork?(): void } | undefined
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  evalsha(...args: (string | number)[]): Promise<unknown>
  eval(...args: (string | number)[]): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  nodes?(role: 'master'): Link[]
  refreshSlotsCache?(): void
}

/** ioredis, as much of it as makes a connection. */
interface Library {
  new (options: object): Link
  readonly Cluster: new (nodes: object[], options: object) => Link
}

/** Of a cluster: how long a socket may stay silent while it owes an answer. */
const SILENCE_MS = 1_000
const CONNECT_MS = 2_000

/**
 * A call is sent once or not at all: nothing is queued for a Redis that is away, and nothing is sent again
 * when it is back. What the caller was not told of must not be charged later.
 */
const ONCE = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  enableReadyCheck: true,
  reconnectOnError: null,
  commandTimeout: undefined,
  // Silence is noticed by whoever waits: a timer for each command would cost more than the command.
  socketTimeout: undefined,
  connectTimeout: CONNECT_MS,
  retryStrategy: pause,
  readOnly: false,
  monitor: false,
  stringNumbers: false,
}
/**
 * Of a cluster, connections to servers are opened on first use, and the first call waits for that. What
 * waits too long finds the deadline that it carries passed.
 */
const ONCE_OF_A_CLUSTER = { ...ONCE, enableOfflineQueue: true, socketTimeout: SILENCE_MS }
const ONCE_IN_A_CLUSTER = {
  enableOfflineQueue: true,
  clusterRetryStrategy: pause,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  slotsRefreshTimeout: 500,
  slotsRefreshInterval: 5_000,
  scaleReads: 'master',
  redisOptions: ONCE_OF_A_CLUSTER,
}

/** Milliseconds before trying to connect again, jittered: a hundred processes do not come back in step. */
function pause(times: number): number {
  return Math.min(500, 25 * 2 ** Math.min(times, 5)) * (0.75 + Math.random() / 2)
}

/** Whether somebody handed us a client of ioredis. */
export function isClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false
  const client = value as Partial<RedisClient>
  return typeof client.duplicate === 'function' && typeof client.evalsha === 'function'
}

/**
 * A connection of our own to where the client is connected to. The client itself is left alone: no command
 * is defined on it, and it is never closed. It gathers nothing into pipelines: what is asked in one turn is
 * sent in one write anyway, and waits for no answer to come first.
 */
export function linkLike(client: RedisClient): Link {
  const { isCluster } = client as unknown as Link
  const { duplicate } = client as unknown as { duplicate(...args: unknown[]): unknown }
  const link = isCluster
    ? duplicate.call(client, [], { ...ONCE_IN_A_CLUSTER, lazyConnect: true })
    : duplicate.call(client, { ...ONCE, lazyConnect: true, enableAutoPipelining: false })
  if (!isClient(link)) throw new TypeError(mustBe('client', 'a client of ioredis', client))
  return link as unknown as Link
}

/** A connection to an address. Needs ioredis, which is loaded now and not before. */
export function linkTo(address: Address): Link {
  const Redis = load()
  const common = { ...address.credentials, ...ONCE, lazyConnect: true }
  switch (address.kind) {
    case 'cluster':
      return new Redis.Cluster([...address.hosts], {
        ...ONCE_IN_A_CLUSTER,
        redisOptions: { ...ONCE_OF_A_CLUSTER, ...address.credentials },
        lazyConnect: true,
      })
    case 'sentinel':
      return new Redis({
        ...common,
        sentinels: address.hosts,
        name: address.master,
        db: address.db,
        sentinelRetryStrategy: pause,
        enableTLSForSentinelMode: address.credentials.tls !== undefined,
      })
    case 'single':
      return new Redis({ ...common, ...address.hosts[0], db: address.db })
  }
}

function load(): Library {
  try {
    const library = require('ioredis') as Library & { default?: Library }
    return library.default ?? library
  } catch (cause) {
    const message =
      'storage in Redis needs the package "ioredis", version 5.4 or later: npm install ioredis'
    throw Object.assign(new Error(message, { cause }), { code: 'MISSING_IOREDIS' })
  }
}
