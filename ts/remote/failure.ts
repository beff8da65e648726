import { channel } from 'node:diagnostics_channel'

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
  readonly kind: FailureKind
  readonly reason: FailureReason
  /** What is known beyond the reason: the first word of the store's answer, and the step at which it failed. */
  readonly detail: string
  /** Whether another attempt is likely to fail the same way, because an operator has to change something first. */
  readonly isLasting: boolean

  constructor(
    kind: FailureKind,
    reason: FailureReason = kind,
    detail = '',
    isLasting: boolean = kind === 'forbidden',
  ) {
    super(detail === '' ? reason : `${reason} (${detail})`)
    this.kind = kind
    this.reason = reason
    this.detail = detail
    this.isLasting = isLasting
  }

  /** How much it says: nothing, that the connection broke, or why. What says less does not replace more. */
  get weight(): number {
    if (this.reason === 'disconnected') return 0
    return VAGUE.includes(this.reason) ? 1 : 2
  }
}

/** What a rejection means. An error that is not known is taken for a broken connection. */
export function failureOf(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error
  const code = codeOf(error)
  return new StoreFailure('disconnected', code ?? 'disconnected')
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

/** Calls each listener once. One that throws harms no other: the error becomes a warning of the process. */
export function publish(change: StoreChange, listeners: Iterable<StoreListener>): void {
  if (published.hasSubscribers) published.publish(change)
  for (const listener of new Set(listeners)) {
    try {
      listener(change)
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
