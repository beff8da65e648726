import { codeOf, type FailureKind, type FailureReason, StoreFailure } from '../remote/failure.ts'
import type { RedisConnection } from './ioredis.ts'

/* Why Redis does not decide: what its errors mean, and why there is no connection to it. */

/** A code of Node's. */
const TLS_TIMEOUT = 'ERR_TLS_HANDSHAKE_TIMEOUT'
const SENTINEL_TIMEOUT_MS = 1_000
const FORBIDDEN = ['NOAUTH', 'WRONGPASS', 'NOPERM', 'DENIED']
/**
 * First words of refusals: Redis' own, and those that {@link SENTENCES} makes of a sentence. Where there is more to
 * say than the word does: what an operator may do about it, or what it means.
 */
const REFUSED = {
  ASK: undefined,
  BUSY: undefined,
  CLUSTERDOWN: undefined,
  CROSSSLOT: undefined,
  LOADING: 'it is loading its data',
  MASTERDOWN: undefined,
  MAXCLIENTS: 'it has reached its maximum number of clients',
  MISCONF: undefined,
  MOVED: 'it is one server of a cluster. Use redis+cluster:, or a client of the class Cluster',
  NOCLUSTER: 'it is not a cluster. Use redis:',
  NOMASTER: 'Sentinel has no primary with this name',
  NOREPLICAS: undefined,
  OOM: 'it is out of memory',
  READONLY: 'it is a replica',
  TRYAGAIN: undefined,
  UNBLOCKED: undefined,
}
/** A word for what Redis refuses and why. */
export type RefusalWord = keyof typeof REFUSED

/** Why Redis does not decide: see `FailureReason` of `ratethrottle/remote`. */
export type RedisFailureReason =
  | FailureReason
  /** It closes the connection before it says a word: a port for TLS, or a proxy without a server behind it. */
  | 'hangup'
  /** The database of the URL or of the client could not be selected. */
  | 'SELECT'
  | RefusalWord

/** What an operator may do about a reason, or what it means. */
export const HINTS: Readonly<Record<string, string | undefined>> = {
  ...REFUSED,
  garbled: 'the server that answers is not Redis',
  hangup: 'it closes the connection without a reply. A port for TLS needs rediss:',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the port does not speak TLS. Use redis:, not rediss:',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the port does not seem to speak TLS. Use redis:, not rediss:',
  SELECT: 'it refuses to select the database',
}

/** Refusals that last until an operator changes the configuration. */
const LASTING: readonly string[] = ['MOVED', 'SELECT']

/** What Redis, Node and ioredis say in a sentence only, or pass on as the text of another error. */
const SENTENCES: readonly (readonly [RegExp, FailureKind, FailureReason])[] = [
  [/^timeout$|Command timed out|Socket timeout/, 'timeout', 'timeout'],
  [/max number of clients/, 'refused', 'MAXCLIENTS'],
  [/cluster support disabled/, 'refused', 'NOCLUSTER'],
  [/No such master|got an invalid reply: null/i, 'refused', 'NOMASTER'],
  [/unknown (redis )?command|can't (run|access)|ERR ACL|no permissions/i, 'forbidden', 'forbidden'],
  [/DB index is out of range|SELECT is not allowed/, 'refused', 'SELECT'],
  [/Protocol error|RESP type|Command queue state error/, 'garbled', 'garbled'],
  [/self[- ]signed certificate in/, 'disconnected', 'SELF_SIGNED_CERT_IN_CHAIN'],
  [/self[- ]signed certificate/, 'disconnected', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  [/verify the first certificate/, 'disconnected', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  [/certificate has expired/, 'disconnected', 'CERT_HAS_EXPIRED'],
  [/certificate's altnames/, 'disconnected', 'ERR_TLS_CERT_ALTNAME_INVALID'],
]
const NETWORK_WORD =
  /\b(ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EPIPE|ENOENT|EACCES)\b/
const ERROR_WORD = /^-?([A-Z]{3,20})(?= |$)/
/** How a script's own error, or Sentinel's client, names the error of the command that failed in it. */
const INNER_WORD =
  /(?:^|[:"] ?|-|because |error: )(OOM|READONLY|MISCONF|NOREPLICAS|NOPERM|MASTERDOWN|NOAUTH|WRONGPASS)\b/

/** What an error of ioredis means. An error that is not known is taken for a broken connection. */
export function redisFailure(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error
  if (!(error instanceof Error)) return new StoreFailure('disconnected')
  const { message } = error
  const [, word = ''] = INNER_WORD.exec(message) ?? ERROR_WORD.exec(message) ?? []
  if (FORBIDDEN.includes(word)) return failure('forbidden', 'forbidden', word)
  if (Object.hasOwn(REFUSED, word)) return failure('refused', word)
  const code = codeOf(error)
  if (code !== undefined) return failure('disconnected', code)
  const [, kind, reason] = SENTENCES.find(([pattern]) => pattern.test(message)) ?? []
  if (kind !== undefined) return failure(kind, reason)
  const [network] = NETWORK_WORD.exec(message) ?? []
  if (network !== undefined) return failure('disconnected', network)
  return failure(word === '' ? 'disconnected' : 'refused')
}

/** What it means that Redis did not do a step of the handshake. ioredis goes on without it. */
export function failureAt(step: string, error: unknown): StoreFailure {
  const { kind, reason, detail } = redisFailure(error)
  const named = reason === 'refused' ? step : reason
  return failure(kind, named, `${detail} at ${step}`.trim())
}

/** The failure of work that took too long. */
export function timedOut(): StoreFailure {
  return new StoreFailure('timeout')
}

/** Whether the server does not know the script. It has done nothing then. */
export function isScriptLost(error: unknown): boolean {
  return error instanceof Error && error.message.includes('NOSCRIPT')
}

function failure(kind: FailureKind, reason: FailureReason = kind, detail = ''): StoreFailure {
  return new StoreFailure(kind, reason, detail, kind === 'forbidden' || LASTING.includes(reason))
}

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
      setImmediate(() => {
        connection.stream?.once?.('connect', () => {
          this.#isReached = true
        })
      })
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
    const failure = redisFailure(error.lastNodeError ?? error)
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

  /** ioredis does not report why it cannot reach a Sentinel. */
  async #hearSentinel(error: Error): Promise<void> {
    const [sentinel] = this.#connection.options.sentinels ?? []
    const isKnown = redisFailure(error).reason !== 'disconnected'
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
    const socket = process.getBuiltinModule('node:net').createConnection(options)
    const end = (failure: StoreFailure): void => {
      socket.destroy()
      resolve(failure)
    }
    socket.on('error', (error) => end(redisFailure(error)))
    socket.on('timeout', () => end(new StoreFailure('disconnected', 'ETIMEDOUT')))
    socket.on('connect', () => end(new StoreFailure('disconnected', 'hangup')))
  })
}
