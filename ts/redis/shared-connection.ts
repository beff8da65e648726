import { invalid } from '../errors.ts'
import { Connection } from './connection.ts'
import { linkLike } from './copy.ts'
import { isClient, type Link, type RedisClient } from './ioredis.ts'
import { linkTo } from './link.ts'
import { readAddress } from './url.ts'

const ACCEPTED =
  'a URL such as "redis://127.0.0.1:6379/0", a RedisStorage or a client of ioredis (not a mock of one)'

/** One storage for each client that was handed in, and for each URL in use: their limiters share it. */
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
  readonly #open: () => Link
  #connection: Connection | undefined
  #holders = 0

  /**
   * @param source a URL, or a client of ioredis: the connection then is a copy of the client's, and the
   * client itself is neither changed nor closed
   * @throws RangeError with code INVALID_STORAGE for a URL that is not understood
   */
  constructor(source: string | RedisClient) {
    if (typeof source === 'string') {
      const address = readAddress(source)
      this.#open = () => linkTo(address)
    } else if (isClient(source)) {
      this.#open = () => linkLike(source)
    } else {
      throw invalid(TypeError, 'INVALID_OPTION', 'storage', ACCEPTED, source)
    }
  }

  /** The connection, for one more limiter. Opens it for the first. */
  hold(): Connection {
    this.#connection ??= new Connection(this.#open())
    this.#holders++
    return this.#connection
  }

  /** One limiter less. Resolves when, after the last one, the connection is closed. */
  async letGo(): Promise<void> {
    this.#holders--
    if (this.#holders > 0) return
    const connection = this.#connection
    this.#connection = undefined
    for (const [url, storage] of byUrl) if (storage === this) byUrl.delete(url)
    await connection?.close()
  }
}

/** The storage that a user names: by URL, by a client, or itself. */
export function storageOf(source: unknown): RedisStorage {
  if (source instanceof RedisStorage) return source
  const known = isClient(source) ? byClient.get(source) : byUrl.get(source as string)
  const storage = known ?? new RedisStorage(source as string)
  if (isClient(source)) byClient.set(source, storage)
  else byUrl.set(source as string, storage)
  return storage
}
