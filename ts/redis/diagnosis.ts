import { createConnection } from 'node:net'
import { StoreFailure } from '../remote/failure.ts'
import { failureOf } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'

/** A code of Node's. */
const TLS_TIMEOUT = 'ERR_TLS_HANDSHAKE_TIMEOUT'
const SENTINEL_TIMEOUT_MS = 1_000

/** Finds out why there is no connection, from what ioredis reports and from what it does not. */
export class Diagnosis {
  readonly #connection: RedisConnection
  readonly #learn: (failure: StoreFailure) => void
  /** The last error of the connection, until the next connection is ready. */
  #heard: StoreFailure | undefined
  /** Whether the host has accepted the connection that is being made. */
  #isReached = false
  /** Whether there is a connection from which nothing was received yet. */
  #isMute = false
  #isAskingSentinel = false

  /** @param learn called with each reason that is found */
  constructor(connection: RedisConnection, learn: (failure: StoreFailure) => void) {
    this.#connection = connection
    this.#learn = learn
    connection.on('error', (error: Error) => this.hear(error))
    connection.on('sentinelError', (error: Error) => void this.#hearSentinel(error))
    connection.on('connecting', () => {
      this.#isReached = false
      // By then ioredis has made the socket.
      setImmediate(() => connection.stream?.once?.('connect', this.#reached))
    })
    connection.on('connect', () => {
      this.#isMute = connection.isCluster !== true
    })
    connection.on('ready', () => {
      this.#heard = undefined
    })
  }

  /** The server has sent something. */
  answered(): void {
    this.#isMute = false
  }

  /** The server has accepted a connection and then kept silent. */
  silent(): void {
    this.#isMute = false
    this.#learn(new StoreFailure('timeout'))
  }

  hear(error: Error & { readonly lastNodeError?: unknown }): void {
    this.#isMute = false
    const failure = failureOf(error.lastNodeError ?? error)
    // The host was reached, so it is TLS that got no reply.
    const isTls = failure.reason === 'ETIMEDOUT' && this.#isReached
    this.#heard = isTls ? new StoreFailure('disconnected', TLS_TIMEOUT) : failure
    this.#learn(this.#heard)
  }

  /** Why the connection was closed. */
  whyClosed(): StoreFailure {
    const reason = this.#isMute ? 'hangup' : 'disconnected'
    return this.#heard ?? new StoreFailure('disconnected', reason)
  }

  /** Why there was no connection in time, if no error was reported. */
  whySilent(): StoreFailure {
    const { status } = this.#connection
    if (status === 'connecting') {
      return new StoreFailure('disconnected', this.#isReached ? TLS_TIMEOUT : 'ETIMEDOUT')
    }
    return new StoreFailure(status === 'connect' || status === 'ready' ? 'timeout' : 'disconnected')
  }

  readonly #reached = (): void => {
    this.#isReached = true
  }

  /** ioredis does not report why it cannot reach a Sentinel. */
  async #hearSentinel(error: Error): Promise<void> {
    const [sentinel] = this.#connection.options.sentinels ?? []
    const isKnown = failureOf(error).reason !== 'disconnected'
    if (isKnown || sentinel === undefined) this.hear(error)
    else if (!this.#isAskingSentinel) {
      this.#isAskingSentinel = true
      this.#learn(await whyUnreachable(sentinel))
      this.#isAskingSentinel = false
    }
  }
}

/**
 * Why a Sentinel cannot be reached. Connects to it and closes the connection at once.
 *
 * @param sentinel as ioredis has it in option `sentinels`
 */
function whyUnreachable(sentinel: object): Promise<StoreFailure> {
  return new Promise((resolve) => {
    const options = { port: 26_379, ...sentinel, timeout: SENTINEL_TIMEOUT_MS }
    const socket = createConnection(options)
    const end = (failure: StoreFailure): void => {
      socket.destroy()
      resolve(failure)
    }
    socket.on('error', (error) => end(failureOf(error)))
    socket.on('timeout', () => end(new StoreFailure('disconnected', 'ETIMEDOUT')))
    socket.on('connect', () => end(new StoreFailure('disconnected', 'hangup')))
  })
}
