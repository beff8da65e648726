import { withTimeout } from '../limiter.ts'
import { StoreFailure } from '../remote/failure.ts'
import { storageOf } from './connection.ts'
import { redisFailure, timedOut } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'
import { repeatHandshake } from './nodes.ts'
import { runScript, type Script } from './script/index.ts'

const TIMEOUT_MS = 1_000

/** A connection of its own, which no request waits for: for what hosts tell each other. */
export class SideConnection {
  readonly #connection: RedisConnection
  /** The last error of the connection. */
  #heard = new StoreFailure('disconnected')
  /** The socket over which the last handshake went. */
  #greeted: unknown

  /**
   * @param storage a URL, a client of ioredis or a `RedisStorage`
   * @throws TypeError or RangeError for what is none; Error with code MISSING_IOREDIS
   */
  constructor(storage: unknown) {
    this.#connection = storageOf(storage).open()
    this.#connection.on('error', (error: Error) => {
      this.#heard = redisFailure(error)
    })
    this.#connection.connect().catch(() => {})
  }

  /**
   * Runs a script.
   *
   * @param args how many keys, the keys, and what follows them
   * @throws StoreFailure after a second at the latest
   */
  async run(script: Script, args: readonly (string | number)[]): Promise<unknown> {
    const connection = this.#connection
    if (connection.status !== 'ready') throw this.#heard
    try {
      return await withTimeout(this.#ask(script, args), TIMEOUT_MS, timedOut)
    } catch (error) {
      const failure = redisFailure(error)
      // A server that is silent, or is a replica by now: another may have taken its place.
      if (failure.kind === 'timeout' || failure.reason === 'READONLY') connection.disconnect(true)
      throw failure
    }
  }

  async #ask(script: Script, args: readonly (string | number)[]): Promise<unknown> {
    const { stream } = this.#connection
    if (this.#greeted !== stream) await repeatHandshake(this.#connection)
    this.#greeted = stream
    return runScript(this.#connection, script, args)
  }

  close(): void {
    this.#connection.disconnect()
    this.#connection.release?.()
  }
}
