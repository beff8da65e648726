import type { Link } from './ioredis.ts'
import type { Address } from './url.ts'

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
 * when it is back. A call whose caller got another answer must not be charged later.
 */
export const ONCE: object = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  // A probe of our own finds out more, and needs no right to INFO or to CLIENT SETINFO.
  enableReadyCheck: false,
  disableClientInfo: true,
  reconnectOnError: null,
  commandTimeout: undefined,
  // Callers notice silence by their deadlines: a timer for each command would cost more than the command.
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
export const ONCE_OF_A_CLUSTER: object = {
  ...ONCE,
  enableOfflineQueue: true,
  socketTimeout: SILENCE_MS,
}
export const ONCE_IN_A_CLUSTER: object = {
  enableOfflineQueue: true,
  enableReadyCheck: false,
  clusterRetryStrategy: pause,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  slotsRefreshTimeout: 500,
  slotsRefreshInterval: 5_000,
  scaleReads: 'master',
}

/** Milliseconds before trying to connect again, jittered: a hundred processes do not come back in step. */
function pause(times: number): number {
  return Math.min(500, 25 * 2 ** Math.min(times, 5)) * (0.75 + Math.random() / 2)
}

/** A connection to an address. Needs ioredis, which is loaded now and not before. */
export function linkTo(address: Address): Link {
  const Redis = load()
  const { kind, hosts, credentials, db, master } = address
  const common = { ...credentials, ...ONCE, lazyConnect: true }
  switch (kind) {
    case 'cluster':
      return new Redis.Cluster([...hosts], {
        ...ONCE_IN_A_CLUSTER,
        redisOptions: { ...ONCE_OF_A_CLUSTER, ...credentials },
        lazyConnect: true,
      })
    case 'sentinel':
      return new Redis({
        ...common,
        // Says which of the servers is the primary.
        enableReadyCheck: true,
        sentinels: hosts,
        name: master,
        db,
        sentinelRetryStrategy: pause,
        enableTLSForSentinelMode: credentials.tls !== undefined,
      })
    case 'unix':
      return new Redis({ ...common, path: address.path, db })
    case 'single':
      return new Redis({ ...common, ...hosts[0], db })
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
