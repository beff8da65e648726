import { withCode } from '../validate.ts'
import type { RedisAddress } from './url.ts'

/** An ioredis client or cluster, reduced to what identifies one. */
export interface RedisClient {
  readonly status: string
  duplicate(...args: never[]): unknown
  evalsha(...args: never[]): unknown
}

/** Options of an ioredis client, reduced to what we read or write. */
interface ConnectionOptions {
  readonly keyPrefix?: string
  readonly host?: string
  readonly port?: number
  readonly readOnly?: boolean
  readonly db?: number
  readonly connectionName?: string
  readonly enableReadyCheck?: boolean
  /** Of a cluster: the options of each of its connections. */
  readonly redisOptions?: ConnectionOptions
  readonly sentinels?: readonly object[] | null
}

/** The socket of a connection. */
export interface Socket {
  cork?(): void
  uncork?(): void
  once?(event: 'connect', listener: () => void): unknown
}

/** What we use of an ioredis connection: of ours, and of the client that it is made from. `Cluster` has it too. */
export interface RedisConnection {
  readonly status: string
  readonly options: ConnectionOptions
  readonly isCluster?: boolean
  /** Of a cluster: the nodes of each slot as `host:port`, the primary first. */
  readonly slots?: readonly (readonly string[] | undefined)[]
  readonly stream?: Socket | null | undefined
  /** Its session: the database that it has selected since it connected. */
  readonly condition?: { readonly select?: number } | null
  /** While it reconnects: the session that it will restore. */
  readonly prevCondition?: RedisConnection['condition']
  /** Of a cluster. */
  startupNodes?: readonly object[]
  readonly connectionPool?: object
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  duplicate(...args: unknown[]): RedisConnection
  evalsha(...args: (string | number)[]): Promise<unknown>
  eval(...args: (string | number)[]): Promise<unknown>
  select?(db: number): Promise<unknown>
  client?(...args: string[]): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
  nodes?(role: 'master'): RedisConnection[]
  refreshSlotsCache?(): void
  /** Of a duplicate: stops listening to the client that it was made from. */
  release?(): void
}

/** The ioredis module, reduced to its constructors. */
interface Library {
  new (options: object): RedisConnection
  readonly Cluster: new (nodes: object[], options: object) => RedisConnection
}

/** How long a socket of a cluster may stay silent while it owes a reply. */
const SOCKET_TIMEOUT_MS = 5_000
const CONNECT_TIMEOUT_MS = 2_000

/**
 * A call is sent once or not at all: nothing is queued while Redis is away, and nothing is sent again when it
 * is back. A call whose caller was answered otherwise must not be charged later.
 */
const SEND_ONCE: object = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  // Our own probe finds out more, and needs no permission for INFO or CLIENT SETINFO.
  enableReadyCheck: false,
  disableClientInfo: true,
  reconnectOnError: null,
  commandTimeout: undefined,
  // Deadlines detect silence: a timer for each command would cost more than the command.
  socketTimeout: undefined,
  connectTimeout: CONNECT_TIMEOUT_MS,
  retryStrategy: reconnectDelay,
  readOnly: false,
  monitor: false,
  stringNumbers: false,
}
/**
 * A cluster opens the connection to a server on first use, and the first call waits for that. A call that
 * waits too long is rejected by the script because of the deadline that it carries.
 */
const CLUSTER_NODE: object = {
  ...SEND_ONCE,
  enableOfflineQueue: true,
  socketTimeout: SOCKET_TIMEOUT_MS,
}
const CLUSTER: object = {
  enableOfflineQueue: true,
  enableReadyCheck: false,
  clusterRetryStrategy: reconnectDelay,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  slotsRefreshTimeout: 500,
  slotsRefreshInterval: 5_000,
  scaleReads: 'master',
  lazyConnect: true,
}

/** Milliseconds before the next attempt to connect, jittered so that processes do not reconnect in step. */
function reconnectDelay(attempts: number): number {
  return Math.min(500, 25 * 2 ** Math.min(attempts, 5)) * (0.75 + Math.random() / 2)
}

/** Makes a connection to an address. Loads ioredis, which nothing else does. */
export function connect({ kind, hosts, credentials, db, master }: RedisAddress): RedisConnection {
  const Redis = loadLibrary()
  if (kind === 'cluster') {
    const redisOptions = { ...CLUSTER_NODE, ...credentials }
    return new Redis.Cluster([...hosts], { ...CLUSTER, redisOptions })
  }
  const options = { ...credentials, ...SEND_ONCE, lazyConnect: true, db }
  if (kind === 'single') return new Redis({ ...options, ...hosts[0] })
  return new Redis({
    ...options,
    // Tells which of the servers is the primary.
    enableReadyCheck: true,
    sentinels: hosts,
    name: master,
    sentinelRetryStrategy: reconnectDelay,
    enableTLSForSentinelMode: credentials.tls !== undefined,
  })
}

function loadLibrary(): Library {
  try {
    const library = require('ioredis') as Library & { default?: Library }
    return library.default ?? library
  } catch (cause) {
    const message =
      'storage in Redis needs the package "ioredis", version 5.4 or later: npm install ioredis'
    throw withCode(new Error(message, { cause }), 'MISSING_IOREDIS')
  }
}

/**
 * Makes our own connection to where a client is connected. The client itself is left alone: no command is
 * defined on it, and it is never closed. Before each connect the duplicate takes over the client's current
 * options: another password, database or host. It has no auto-pipelining: commands of one turn already leave in
 * one write, and need not wait for a reply first.
 */
export function duplicate(client: RedisClient): RedisConnection {
  const source = client as unknown as RedisConnection
  return source.isCluster === true ? duplicateCluster(source) : duplicateServer(source)
}

function duplicateServer(source: RedisConnection): RedisConnection {
  const options = (): ConnectionOptions => {
    const { options: theirs } = source
    // With Sentinel the check tells which of the servers is the primary.
    const enableReadyCheck = theirs.sentinels == null ? false : theirs.enableReadyCheck
    const ours = { ...SEND_ONCE, enableReadyCheck, lazyConnect: true, enableAutoPipelining: false }
    const db = (source.prevCondition ?? source.condition)?.select ?? theirs.db ?? 0
    return { ...theirs, ...ours, himportFieldsets: undefined, db } as object
  }
  const copy = source.duplicate(options())
  refreshOnConnect(copy, options)
  const select = (db: number): void => {
    Object.assign(copy.options, { db })
    // If Redis refuses, the next connection finds out why.
    if (copy.status === 'ready') copy.select?.(db).catch(() => copy.disconnect(true))
  }
  source.on('select', select)
  copy.release = () => source.off('select', select)
  return copy
}

function duplicateCluster(source: RedisConnection): RedisConnection {
  // ioredis 5 replaces the client's own node options by these, ioredis 6 merges them.
  const redisOptions = (): object => ({ ...source.options.redisOptions, ...CLUSTER_NODE })
  const options = (): object => ({
    ...CLUSTER,
    himportFieldsets: undefined,
    redisOptions: redisOptions(),
  })
  const copy = source.duplicate([], options())
  refreshOnConnect(copy, () => {
    copy.startupNodes = [...(source.startupNodes ?? [])]
    return { ...source.options, ...options() }
  })
  if (copy.connectionPool !== undefined) {
    // Nodes are also connected while the cluster as a whole stays connected.
    Object.defineProperty(copy.connectionPool, 'redisOptions', { get: redisOptions })
  }
  return copy
}

/** ioredis reads a connection's options when it connects, so they are refreshed just before. */
function refreshOnConnect(copy: RedisConnection, options: () => ConnectionOptions): void {
  const connectNow = copy.connect.bind(copy)
  copy.connect = () => {
    // Another prefix would be another limiter.
    const { keyPrefix } = copy.options
    Object.assign(copy.options, options(), { keyPrefix })
    return connectNow()
  }
}

/**
 * Whether a value is an ioredis client, or one of a library that is built like it. A mock is not: it has no
 * connection to duplicate.
 */
export function isClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false
  const { connector, connectionPool, duplicate: copy, evalsha } = value as Record<string, unknown>
  const connects = [connector, connectionPool].some((by) => typeof by === 'object' && by !== null)
  return connects && typeof copy === 'function' && typeof evalsha === 'function'
}
