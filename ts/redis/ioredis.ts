/** An ioredis client or cluster, as much of it as tells that it is one. */
export interface RedisClient {
  readonly status: string
  duplicate(...args: never[]): unknown
  evalsha(...args: never[]): unknown
}

/** What a client of ioredis was told, as much of it as we read or write. */
export interface LinkOptions {
  readonly keyPrefix?: string
  readonly host?: string
  readonly port?: number
  readonly readOnly?: boolean
  readonly db?: number
  readonly connectionName?: string
  readonly enableReadyCheck?: boolean
  /** Of a cluster: what each of its connections is told. */
  readonly redisOptions?: LinkOptions
  readonly sentinels?: readonly object[] | null
}

/** The socket of a connection. */
interface Wire {
  cork?(): void
  uncork?(): void
  once?(event: 'connect', listener: () => void): unknown
}

/** What is used of a connection of our own. ioredis' `Redis` and `Cluster` both have it. */
export interface Link {
  readonly status: string
  readonly options: LinkOptions
  readonly isCluster?: boolean
  /** Of a cluster: the nodes of each slot as `host:port`, the primary first. */
  readonly slots?: readonly (readonly string[] | undefined)[]
  readonly stream?: Wire | null | undefined
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  evalsha(...args: (string | number)[]): Promise<unknown>
  eval(...args: (string | number)[]): Promise<unknown>
  select?(db: number): Promise<unknown>
  client?(...args: string[]): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  nodes?(role: 'master'): Link[]
  refreshSlotsCache?(): void
  /** Of a copy: stops listening to the client that it was copied from. */
  release?(): void
}

/**
 * Whether a value is a client of ioredis, or of a library that is built like it. A mock is none: it has no
 * connection that could be copied.
 */
export function isClient(value: unknown): value is RedisClient {
  if (typeof value !== 'object' || value === null) return false
  const client = value as Partial<RedisClient> & { connector?: unknown; connectionPool?: unknown }
  const { connector, connectionPool } = client
  const connects = isObject(connector) || isObject(connectionPool)
  return connects && typeof client.duplicate === 'function' && typeof client.evalsha === 'function'
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}
