import { StoreFailure } from '../remote/failure.ts'
import { failureOf } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'
import { whyNotReached } from './reach.ts'

/** A code of Node's. */
const TLS_TIMEOUT = 'ERR_TLS_HANDSHAKE_TIMEOUT'

/** Finds out why there is no connection, from what ioredis says and from what it does not. */
export class Diagnosis {
  readonly #link: RedisConnection
  readonly #learn: (failure: StoreFailure) => void
  /** What the connection failed of, if that was said. */
  #heard: StoreFailure | undefined
  /** Whether the host has accepted the connection that is being made. */
  #isReached = false
  /** Whether a connection was made of which nothing was heard yet. */
  #isMute = false
  #isReaching = false

  /** @param learn called with each reason that is found */
  constructor(link: RedisConnection, learn: (failure: StoreFailure) => void) {
    this.#link = link
    this.#learn = learn
    link.on('error', (error: Error) => this.hear(error))
    link.on('sentinelError', (error: Error) => void this.#hearSentinel(error))
    link.on('connecting', () => {
      this.#isReached = false
      // By then ioredis has made the socket.
      setImmediate(() => link.stream?.once?.('connect', this.#reached))
    })
    link.on('connect', () => {
      this.#isMute = link.isCluster !== true
    })
    link.on('ready', () => {
      this.#heard = undefined
    })
  }

  /** Something was heard of the server. */
  answered(): void {
    this.#isMute = false
  }

  hear(error: Error & { readonly lastNodeError?: unknown }): void {
    this.#isMute = false
    const failure = failureOf(error.lastNodeError ?? error)
    // The host was reached, and what was silent is TLS.
    const isTls = failure.reason === 'ETIMEDOUT' && this.#isReached
    this.#heard = isTls ? new StoreFailure('disconnected', TLS_TIMEOUT) : failure
    this.#learn(this.#heard)
  }

  /** Why the connection was closed. */
  whyClosed(): StoreFailure {
    const reason = this.#isMute ? 'hangup' : 'disconnected'
    return this.#heard ?? new StoreFailure('disconnected', reason)
  }

  /** Why nothing was heard at all. */
  whySilent(): StoreFailure {
    const { status } = this.#link
    if (status === 'connecting') {
      return new StoreFailure('disconnected', this.#isReached ? TLS_TIMEOUT : 'ETIMEDOUT')
    }
    return new StoreFailure(status === 'connect' || status === 'ready' ? 'timeout' : 'disconnected')
  }

  readonly #reached = (): void => {
    this.#isReached = true
  }

  /** ioredis does not say why a Sentinel can't be reached. */
  async #hearSentinel(error: Error): Promise<void> {
    const [sentinel] = this.#link.options.sentinels ?? []
    const isKnown = failureOf(error).reason !== 'disconnected'
    if (isKnown || sentinel === undefined) this.hear(error)
    else if (!this.#isReaching) {
      this.#isReaching = true
      this.#learn(await whyNotReached(sentinel))
      this.#isReaching = false
    }
  }
}
