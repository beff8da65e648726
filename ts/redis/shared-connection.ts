import { invalid } from '../validate.ts'
import { Connection } from './connection.ts'
import { connect, duplicate, isClient, type RedisClient, type RedisConnection } from './ioredis.ts'
import { readUrl } from './url.ts'

const ACCEPTED =
  'a URL such as "redis://127.0.0.1:6379/0", a RedisStorage or a client of ioredis (not a mock of one)'

/** One storage for each client that was passed in, and for each URL in use, so that their limiters share it. */
const byClient = new WeakMap<object, RedisStorage>()
const byUrl = new Map<string, RedisStorage>()

/**
 * Where limiters keep their counters: one connection to Redis, shared by all limiters of the process that
 * are given the same storage, client or URL, and closed with the last of them.
 *
 * ```ts
 * const api = new RedisLimiter('100/minute', { url: 'redis://127.0.0.1:6379/0', name: 'api' })
 * const login = new RedisLimiter('5/minute', { storage: api.storage, name: 'login' })
 * ```
 */
export class RedisStorage {
  readonly #open: () => RedisConnection
  #connection: Connection | undefined
  #users = 0

  /**
   * @param source a URL, or a client of ioredis. The client itself is neither changed nor closed: the storage
   * makes its own connection to the same server.
   * @throws RangeError with code INVALID_STORAGE for an invalid URL; TypeError with code INVALID_OPTION for
   * anything else
   */
  constructor(source: string | RedisClient) {
    if (typeof source === 'string') {
      const address = readUrl(source)
      this.#open = () => connect(address)
    } else if (isClient(source)) {
      this.#open = () => duplicate(source)
    } else {
      throw invalid(TypeError, 'INVALID_OPTION', 'storage', ACCEPTED, source)
    }
  }

  /** The connection, for one more limiter. Opened for the first. */
  acquire(): Connection {
    this.#connection ??= new Connection(this.#open())
    this.#users++
    return this.#connection
  }

  /** Called by each limiter that closes. After the last one it resolves when the connection is closed. */
  async release(): Promise<void> {
    this.#users--
    if (this.#users > 0) return
    const connection = this.#connection
    this.#connection = undefined
    for (const [url, storage] of byUrl) if (storage === this) byUrl.delete(url)
    await connection?.close()
  }
}

/** The storage that an option names: by URL, by client, or itself. */
export function storageOf(source: unknown): RedisStorage {
  if (source instanceof RedisStorage) return source
  const known = isClient(source) ? byClient.get(source) : byUrl.get(source as string)
  const storage = known ?? new RedisStorage(source as string)
  if (isClient(source)) byClient.set(source, storage)
  else byUrl.set(source as string, storage)
  return storage
}
