/** Why Redis did not decide. */
export type FailureReason =
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
 * What went wrong between us and Redis. Never reaches whoever asks for a decision: it carries a reason of
 * ours and the first word of what Redis said, no address, key or credential.
 */
export class StoreFailure extends Error {
  readonly code = 'STORE_FAILURE'
  readonly reason: FailureReason
  /** First word of Redis' answer, such as `READONLY`; empty if there was none. */
  readonly word: string

  constructor(reason: FailureReason, word = '') {
    super(word === '' ? reason : `${reason}: ${word}`)
    this.reason = reason
    this.word = word
  }
}

const FORBIDDEN = ['NOAUTH', 'WRONGPASS', 'NOPERM', 'DENIED']
const REFUSED = [
  'ASK',
  'BUSY',
  'CLUSTERDOWN',
  'CROSSSLOT',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'MOVED',
  'NOREPLICAS',
  'OOM',
  'READONLY',
  'TRYAGAIN',
  'UNBLOCKED',
]
const ERROR_WORD = /^-?([A-Z]{3,20})(?= |$)/
/** How a script's own error names the error of the command that failed in it. */
const INNER_WORD = /(?:^|: |-)(OOM|READONLY|MISCONF|NOREPLICAS|NOPERM|MASTERDOWN) /

/** What a client's error means. Whatever is not known is taken for a refusal: the policy decides then. */
export function failureOf(error: unknown): StoreFailure {
  if (error instanceof StoreFailure) return error
  const message = error instanceof Error ? error.message : ''
  const word = wordOf(message)
  if (FORBIDDEN.includes(word)) return new StoreFailure('forbidden', word)
  if (REFUSED.includes(word)) return new StoreFailure('refused', word)
  if (/unknown command|ERR ACL|no permissions/i.test(message)) return new StoreFailure('forbidden')
  if (word !== '') return new StoreFailure('refused', word)
  return new StoreFailure('disconnected')
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
