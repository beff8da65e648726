import { channel } from 'node:diagnostics_channel'
import type { RemoteSettings } from './options.ts'

/** What kind of failure kept a store from deciding. */
export type FailureKind =
  /** No answer within the deadline. */
  | 'timeout'
  /** No connection, or it broke before the answer came. */
  | 'disconnected'
  /** Not asked, because the circuit breaker is open. */
  | 'unavailable'
  /** It answered that it cannot decide now: loading, failing over, out of memory, busy. */
  | 'refused'
  /** It will never decide for us: wrong password, missing permission, scripts switched off. */
  | 'forbidden'
  /** Its answer could not be read. */
  | 'garbled'

/**
 * Why a store does not decide: a {@link FailureKind}, or where more is known, a word an operator can act on.
 * Never an address, a key or a secret.
 */
export type FailureReason =
  | FailureKind
  /** It answers, but a round trip takes longer than `deadlineMs`. */
  | 'slow'
  /** A code of Node's for a connection or for TLS, such as `CERT_HAS_EXPIRED`. */
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'EHOSTUNREACH'
  | 'ENOTFOUND'
  | 'ETIMEDOUT'
  | 'DEPTH_ZERO_SELF_SIGNED_CERT'
  | 'SELF_SIGNED_CERT_IN_CHAIN'
  | 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
  | 'CERT_HAS_EXPIRED'
  | 'ERR_TLS_CERT_ALTNAME_INVALID'
  | (string & Record<never, never>)

/** Codes of Node, OpenSSL and the network. They are constants of those, and never a text of a server's. */
const CODE = /^[A-Z][A-Z\d_]{3,63}$/
const VAGUE: readonly string[] = ['hangup', 'ECONNRESET', 'EPIPE']

/**
 * Why a call to a store failed. A store rejects with it where it knows the reason. It never reaches a caller
 * that asks for a decision, and carries no address, key or credential.
 */
export class StoreFailure extends Error {
  readonly code = 'STORE_FAILURE'

  /**
   * @param detail what is known beyond the reason: the first word of the store's answer, and the step at which it
   * failed
   * @param isLasting whether another attempt is likely to fail the same way, because an operator has to change
   * something first
   */
  constructor(
    readonly kind: FailureKind,
    readonly reason: FailureReason = kind,
    readonly detail: string = '',
    readonly isLasting: boolean = kind === 'forbidden',
  ) {
    super(detail === '' ? reason : `${reason} (${detail})`)
  }

  /** How much it says: nothing, that the connection broke, or why. What says less does not replace more. */
  get weight(): number {
    if (this.reason === 'disconnected') return 0
    return VAGUE.includes(this.reason) ? 1 : 2
  }
}

/** What becomes of a call whose limiter is closed: the caller learns of the end, and the store is not blamed. */
export function cutOffFailure(): StoreFailure {
  return new StoreFailure('unavailable', 'closed')
}

/** What a rejection means. An error that is not known is taken for a broken connection. */
export function failureOf(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error
  return new StoreFailure('disconnected', codeOf(error))
}

/** The code of an error of Node's, such as `ECONNREFUSED`. */
export function codeOf(error: unknown): string | undefined {
  const { code } = error instanceof Error ? (error as { code?: unknown }) : {}
  return typeof code === 'string' && CODE.test(code) ? code : undefined
}

/** A store has stopped or has begun to decide. */
export interface StoreChange {
  /** Whether the store decides from now on. If not, `onError` does. */
  readonly available: boolean
  /** Why not, or why not until now. */
  readonly reason: FailureReason
  /** The server of a cluster, as `host:port`. Else empty. */
  readonly node: string
  /** How long it was away, in milliseconds; 0 when it goes. */
  readonly downMs: number
}

/** Is called at every {@link StoreChange}. */
export type StoreListener = (change: StoreChange) => void

/** Name of the channel of `node:diagnostics_channel` on which every {@link StoreChange} is published. */
export const STORE_CHANNEL = 'ratethrottle:store'

const published = channel(STORE_CHANNEL)

/**
 * Calls the listeners of these limiters, each once. One that throws harms no other: the error becomes a warning
 * of the process.
 */
export function publish(change: StoreChange, users: Iterable<Listening>): void {
  if (published.hasSubscribers) published.publish(change)
  for (const listener of new Set([...users].map(({ onStoreChange }) => onStoreChange))) {
    try {
      listener?.(change)
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

/** What decides while the store does not. */
export type OnError =
  /** A native limiter in this process, with this process's share of the limits. */
  | 'local'
  /** Nothing: everything is admitted, without any bound. */
  | 'open'
  /** Nothing: everything is denied. */
  | 'closed'

/** The share of the limits that a process has, and how that is known. */
export interface Share {
  /** Into how many parts the limits are cut: infinitely many for one that others do not know of yet. */
  readonly parts: number
  /** Option `processes`; those seen alive in the store; or nothing, and the process counts alone. */
  readonly from: 'option' | 'seen' | 'nothing'
}

/** A limiter, as the connection that it shares with other limiters sees it. */
export interface StoreUser
  extends Pick<RemoteSettings, 'connectTimeoutMs' | 'deadlineMs' | 'onError' | 'onStoreChange'> {
  /** With `onError: 'local'`: whose share this process decides with. */
  share(): Share
}

type Listening = Pick<StoreUser, 'onStoreChange'>

/** What an operator may do about a reason, or what it means. A store adds its own. */
const HINTS: Readonly<Record<string, string>> = {
  disconnected: 'the connection is gone',
  forbidden: 'it refuses the user, the password, or a command that is needed',
  garbled: 'its answer cannot be read',
  refused: 'it answers that it cannot do this now',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  EACCES: 'this user may not open the socket',
  ECONNREFUSED: 'no server listens there',
  EHOSTUNREACH: 'there is no way to its host',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'its host name is not known',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
  ETIMEDOUT: 'its host does not answer',
}
const UNTRUSTED =
  'its certificate is not trusted. Set NODE_EXTRA_CA_CERTS, or pass a client with the authority in option tls'
const UNTRUSTED_CODES = /SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED|CERT_SIGNATURE|INVALID_CA/

/**
 * Warns an operator once that an outage has begun, with what is known by then, and once that it is over. An
 * outage lasts until every server decides again.
 */
export class OutageReporter {
  /** The servers that do not decide. */
  readonly #away = new Set<object>()
  #since = 0
  #reported: FailureReason | undefined
  /** A time-out whose cause the next probe will find. */
  #unclear: StoreFailure | undefined

  /**
   * @param store the name of the store in messages
   * @param hints by reason: what an operator may do about it, or what it means
   * @param users the limiters that use the store
   */
  constructor(
    private readonly store: string,
    private readonly hints: Readonly<Record<string, string | undefined>>,
    readonly users: Set<StoreUser> = new Set(),
  ) {}

  begins(server: object, failure: StoreFailure): void {
    const isFirst = this.#away.size === 0
    this.#away.add(server)
    if (!isFirst) return
    this.#since = performance.now()
    if (failure.reason === 'timeout') this.#unclear = failure
    else this.#report(failure)
  }

  /** A probe has found out more. */
  goesOn(failure: StoreFailure): void {
    if (this.#unclear === undefined) return
    this.#report(failure.reason === 'disconnected' ? this.#unclear : failure)
  }

  ends(server: object): void {
    this.#away.delete(server)
    if (this.#away.size > 0) return
    if (this.#unclear !== undefined) this.#report(this.#unclear)
    const reason = this.#reported
    this.forget(server)
    if (reason === undefined) return
    const seconds = ((performance.now() - this.#since) / 1_000).toFixed(1)
    warn('RATETHROTTLE_STORE_UP', `${this.store} decides again, after ${seconds} s (${reason}).`)
  }

  /** A server that is not asked any more: whether it decides again will not be known. */
  forget(server: object): void {
    this.#away.delete(server)
    if (this.#away.size > 0) return
    this.#reported = undefined
    this.#unclear = undefined
  }

  #report(failure: StoreFailure): void {
    this.#unclear = undefined
    // A listener of the operator's own takes the place of the warnings.
    if ([...this.users].some(({ onStoreChange }) => onStoreChange !== undefined)) return
    this.#reported = failure.reason
    const why = `${failure.message}): ${this.#explain(failure)}`
    const meanwhile = [...new Set([...this.users].map(consequenceOf))].join(' ')
    warn('RATETHROTTLE_STORE_DOWN', `${this.store} does not decide (${why}. ${meanwhile}`)
  }

  #explain({ reason }: StoreFailure): string {
    const ms = Math.min(...[...this.users].map(({ deadlineMs }) => deadlineMs))
    if (reason === 'slow') return `a round trip takes longer than deadlineMs (${ms})`
    if (reason === 'timeout') return `there was no answer within deadlineMs (${ms})`
    const hint = this.hints[reason] ?? HINTS[reason]
    if (hint !== undefined) return hint
    return UNTRUSTED_CODES.test(reason) ? UNTRUSTED : 'there is no connection, or it refuses'
  }
}

/** What decides until the store does. */
function consequenceOf({ onError, share }: StoreUser): string {
  if (onError === 'open')
    return 'Until it does, every call that would be counted there is admitted.'
  if (onError === 'closed')
    return 'Until it does, every call that would be counted there is denied.'
  const { parts, from } = share()
  const counts = 'Until it does, each process counts for itself with its share:'
  if (from === 'option') return `${counts} 1/${parts}, as option processes says.`
  if (from === 'seen') {
    const known = Number.isFinite(parts) ? `1/${parts}, as ${parts} were seen alive.` : undefined
    return `${counts} ${known ?? 'one unit, as it was just counted for the first time.'}`
  }
  const alone = 'Until it does, this process counts for itself with the whole limit:'
  return `${alone} it has seen no other. Set option processes where there are several.`
}

const warned = new Set<string>()

/** Warns once in a process. */
export function warnOnce(code: string, message: string): void {
  if (!warned.has(code)) warn(code, message)
  warned.add(code)
}

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'RateThrottleWarning', code })
}
