import { codeOf, type FailureKind, type FailureReason, StoreFailure } from '../remote/failure.ts'

const FORBIDDEN = ['NOAUTH', 'WRONGPASS', 'NOPERM', 'DENIED']
/** First words of refusals: Redis' own, and those that {@link SENTENCES} makes of a sentence. */
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

/** What an operator may do about a reason, or what it means. */
export const HINTS: Readonly<Record<string, string>> = {
  garbled: 'what answers is no Redis',
  hangup: 'it closes the connection before it says a word. A port for TLS needs rediss:',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the port does not speak TLS. It needs redis:, not rediss:',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the port does not seem to speak TLS. It needs redis:, not rediss:',
  LOADING: 'it is loading its data',
  MAXCLIENTS: 'it has as many clients as it takes',
  MOVED: 'it is one server of a cluster. It needs redis+cluster:, or a client of the class Cluster',
  NOCLUSTER: 'it is no cluster. It needs redis:',
  NOMASTER: 'Sentinel knows no primary of this name',
  OOM: 'it is out of memory',
  READONLY: 'it is a replica',
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
export function failureOf(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error
  if (!(error instanceof Error)) return new StoreFailure('disconnected')
  const { message } = error
  const word = wordOf(message)
  if (FORBIDDEN.includes(word)) return failure('forbidden', 'forbidden', word)
  if ((REFUSED as readonly string[]).includes(word)) return failure('refused', word)
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
  const { kind, reason, detail } = failureOf(error)
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

function wordOf(message: string): string {
  const [, inner = ''] = INNER_WORD.exec(message) ?? []
  if (inner !== '') return inner
  const [, outer = ''] = ERROR_WORD.exec(message) ?? []
  return outer
}
