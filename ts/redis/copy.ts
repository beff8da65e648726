import type { Link, LinkOptions, RedisClient } from './ioredis.ts'
import { ONCE, ONCE_IN_A_CLUSTER, ONCE_OF_A_CLUSTER } from './link.ts'

/** A client of ioredis as it is: a copy reads of it where it is connected to, and as which user. */
interface Source {
  readonly options: LinkOptions
  readonly isCluster?: boolean
  readonly startupNodes?: readonly object[]
  /** Its session: the database that it has selected since it connected. */
  readonly condition?: Session | null
  /** While it reconnects: the session that it will take up again. */
  readonly prevCondition?: Session | null
  duplicate(...args: unknown[]): unknown
  on(event: 'select', listener: (db: number) => void): unknown
  off(event: 'select', listener: (db: number) => void): unknown
}

interface Session {
  readonly select?: number
}

/** Our copy, as much of it as follows its source. */
type Copy = Omit<Link, 'options'> & {
  options: LinkOptions
  startupNodes?: readonly object[]
  readonly connectionPool?: object
  release?(): void
}

/**
 * A connection of our own to where the client is connected to. The client itself is left alone: no command
 * is defined on it, and it is never closed. Whenever the copy connects, it does as the client says by then:
 * another password, another database, another host. It gathers nothing into pipelines: what is asked in one
 * turn is sent in one write anyway, and waits for no answer to come first.
 */
export function linkLike(client: RedisClient): Link {
  const source = client as unknown as Source
  return source.isCluster === true ? clusterLike(source) : serverLike(source)
}

function serverLike(source: Source): Link {
  const options = (): LinkOptions => {
    // With Sentinel it says which of the servers is the primary.
    const enableReadyCheck =
      source.options.sentinels == null ? false : source.options.enableReadyCheck
    const ours = { ...ONCE, enableReadyCheck, lazyConnect: true, enableAutoPipelining: false }
    return {
      ...source.options,
      ...ours,
      himportFieldsets: undefined,
      db: dbOf(source),
    } as LinkOptions
  }
  const copy = source.duplicate(options()) as Copy
  follow(copy, options)
  const select = (db: number): void => {
    Object.assign(copy.options, { db })
    // Refused, the connection is made again, and found to be of no use.
    if (copy.status === 'ready') copy.select?.(db).catch(() => copy.disconnect(true))
  }
  source.on('select', select)
  copy.release = () => source.off('select', select)
  return copy as Link
}

function clusterLike(source: Source): Link {
  // ioredis 5 puts these in place of the client's own, ioredis 6 beside them.
  const redisOptions = (): LinkOptions => ({ ...source.options.redisOptions, ...ONCE_OF_A_CLUSTER })
  const options = (): object => ({
    ...ONCE_IN_A_CLUSTER,
    himportFieldsets: undefined,
    redisOptions: redisOptions(),
    lazyConnect: true,
  })
  const copy = source.duplicate([], options()) as Copy
  follow(copy, () => {
    copy.startupNodes = [...(source.startupNodes ?? [])]
    return { ...source.options, ...options() }
  })
  if (copy.connectionPool !== undefined) {
    // Servers are also connected to while the cluster as a whole stays connected.
    Object.defineProperty(copy.connectionPool, 'redisOptions', { get: redisOptions })
  }
  return copy as Link
}

/** ioredis reads a connection's options when it connects: they are brought up to date before that. */
function follow(copy: Copy, options: () => LinkOptions): void {
  const connect = copy.connect.bind(copy)
  copy.connect = () => {
    // Another prefix would be another limiter.
    const { keyPrefix } = copy.options
    Object.assign(copy.options, options(), { keyPrefix })
    return connect()
  }
}

function dbOf({ options, condition, prevCondition }: Source): number {
  return (prevCondition ?? condition)?.select ?? options.db ?? 0
}
