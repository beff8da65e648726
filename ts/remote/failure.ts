/** What kind of thing went wrong between this process and Redis. */
export type FailureKind =
  /** No answer within the deadline. */
  | 'timeout'
  /** No connection, or it broke before the answer came. */
  | 'disconnected'
  /** Not asked, because it did not answer the last times. */
  | 'unavailable'
  /** It answered that it cannot now: loading, failing over, out of memory, busy with a script. */
  | 'refused'
  /** It will never do this for us: wrong password, missing permission, scripts switched off. */
  | 'forbidden'
  /** It answered something that is no answer. */
  | 'garbled'

/**
 * Why Redis does not decide: a {@link FailureKind}, or where more is known, a word an operator can act on.
 * Never an address, a key or a secret.
 */
export type FailureReason =
  | FailureKind
  /** It answers, but a round trip takes longer than `deadlineMs`. */
  | 'slow'
  /** It closes the connection before it says a word: a port for TLS, or a proxy without a server behind it. */
  | 'hangup'
  /** The database of the URL or of the client could not be selected. */
  | 'SELECT'
  | RefusalWord
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

const FORBIDDEN = ['NOAUTH', 'WRONGPASS', 'NOPERM', 'DENIED']
/** First words of refusals: by Redis itself, but for those that {@link TOLD} makes of a sentence. */
const REFUSED = [
  'ASK',
  'BUSY',
  'CLUSTERDOWN',
  'CROSSSLOT',
  'LOADING',
  'MASTERDOWN',
  'MAXCLIENTS',
  'MISCONF',
  'MOVED',
  'NOCLUSTER',
  'NOMASTER',
  'NOREPLICAS',
  'OOM',
  'READONLY',
  'TRYAGAIN',
  'UNBLOCKED',
] as const
/** A word for what Redis refuses and why. */
export type RefusalWord = (typeof REFUSED)[number]

/** What Redis, Node and ioredis say in a sentence only, or hand on as the text of another error. */
const TOLD: readonly (readonly [RegExp, FailureKind, FailureReason])[] = [
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
const VAGUE: readonly string[] = ['hangup', 'ECONNRESET', 'EPIPE']
/** Codes of Node, OpenSSL and the network. They are constants of those, and never a text of a server's. */
const CODE = /^[A-Z][A-Z\d_]{3,63}$/

/**
 * What went wrong between us and Redis. Never reaches a caller that asks for a decision: it carries a reason
 * and the first word of what Redis said, no address, key or credential.
 */
export class StoreFailure extends Error {
  readonly code = 'STORE_FAILURE'
  readonly kind: FailureKind
  readonly reason: FailureReason
  /** What is known beyond the reason: the first word of Redis' answer, and the step at which it failed. */
  readonly detail: string

  constructor(kind: FailureKind, reason: FailureReason = kind, detail = '') {
    super(detail === '' ? reason : `${reason} (${detail})`)
    this.kind = kind
    this.reason = reason
    this.detail = detail
  }

  /** How much it says: nothing, that the connection broke, or why. What says less does not replace more. */
  get weight(): number {
    if (this.reason === 'disconnected') return 0
    return VAGUE.includes(this.reason) ? 1 : 2
  }

  /** Whether another attempt may well go the same way, because an operator has to change something first. */
  get isLasting(): boolean {
    return this.kind === 'forbidden' || this.reason === 'MOVED' || this.reason === 'SELECT'
  }
}

/** What a client's error means. What is not known is taken for a broken connection. */
export function failureOf(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error
  if (!(error instanceof Error)) return new StoreFailure('disconnected')
  const { message } = error
  const { code } = error as { code?: unknown }
  const word = wordOf(message)
  if (FORBIDDEN.includes(word)) return new StoreFailure('forbidden', 'forbidden', word)
  if ((REFUSED as readonly string[]).includes(word)) return new StoreFailure('refused', word)
  if (typeof code === 'string' && CODE.test(code)) return new StoreFailure('disconnected', code)
  const [, kind, reason] = TOLD.find(([pattern]) => pattern.test(message)) ?? []
  if (kind !== undefined) return new StoreFailure(kind, reason)
  const [network] = NETWORK_WORD.exec(message) ?? []
  if (network !== undefined) return new StoreFailure('disconnected', network)
  return new StoreFailure(word === '' ? 'disconnected' : 'refused')
}

/** What a step of the handshake means that Redis did not do. ioredis goes on without it. */
export function failureAt(step: string, error: unknown): StoreFailure {
  const { kind, reason, detail } = failureOf(error)
  const named = reason === 'refused' ? step : reason
  return new StoreFailure(kind, named, `${detail} at ${step}`.trim())
}

/** Whether the server has forgotten the script. Nothing was done then. */
export function isScriptLost(error: unknown): boolean {
  return error instanceof Error && error.message.includes('NOSCRIPT')
}

function wordOf(message: string): string {
  const [, inner = ''] = INNER_WORD.exec(message) ?? []
  if (inner !== '') return inner
  const [, outer = ''] = ERROR_WORD.exec(message) ?? []
  return outer
}
