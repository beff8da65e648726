import type { FailureReason, StoreFailure, StoreListener } from './failure.ts'
import type { OnError } from './options.ts'

/** The share of the limits that a process has, and how that is known. */
export interface Share {
  /** Into how many parts the limits are cut: infinitely many for one that others do not know of yet. */
  readonly parts: number
  /** Option `processes`; those seen alive in the store; or nothing, and the process counts alone. */
  readonly from: 'option' | 'seen' | 'nothing'
}

/** A limiter, as the connection that it shares with other limiters sees it. */
export interface StoreUser {
  readonly deadlineMs: number
  readonly connectTimeoutMs: number
  readonly onError: OnError
  readonly onStoreChange: StoreListener | undefined
  /** With `onError: 'local'`: whose share this process decides with. */
  share(): Share
}

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
  readonly #store: string
  readonly #hints: Readonly<Record<string, string>>
  readonly #users: ReadonlySet<StoreUser>
  /** The servers that do not decide. */
  readonly #away = new Set<object>()
  #since = 0
  #reported: FailureReason | undefined
  /** A time-out whose cause the next probe will find. */
  #unclear: StoreFailure | undefined

  /**
   * @param store the name of the store in messages
   * @param hints by reason: what an operator may do about it, or what it means
   */
  constructor(
    store: string,
    hints: Readonly<Record<string, string>>,
    users: ReadonlySet<StoreUser>,
  ) {
    this.#store = store
    this.#hints = hints
    this.#users = users
  }

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
    this.#reported = undefined
    if (reason === undefined) return
    const seconds = ((performance.now() - this.#since) / 1_000).toFixed(1)
    const message = `${this.#store} decides again, after ${seconds} s (${reason}).`
    warn('RATETHROTTLE_STORE_UP', message)
  }

  #report(failure: StoreFailure): void {
    this.#unclear = undefined
    // A listener of the operator's own takes the place of the warnings.
    if ([...this.#users].some(({ onStoreChange }) => onStoreChange !== undefined)) return
    this.#reported = failure.reason
    const why = `${failure.message}): ${this.#explain(failure)}`
    const meanwhile = [...new Set([...this.#users].map(consequenceOf))].join(' ')
    warn('RATETHROTTLE_STORE_DOWN', `${this.#store} does not decide (${why}. ${meanwhile}`)
  }

  #explain({ reason }: StoreFailure): string {
    const deadlines = [...this.#users].map(({ deadlineMs }) => deadlineMs)
    const deadline = `deadlineMs (${Math.min(...deadlines)})`
    if (reason === 'slow') return `a round trip takes longer than ${deadline}`
    if (reason === 'timeout') return `there was no answer within ${deadline}`
    const hint = this.#hints[reason] ?? HINTS[reason]
    if (hint !== undefined) return hint
    return UNTRUSTED_CODES.test(reason) ? UNTRUSTED : 'there is no connection, or it refuses'
  }
}

/** What decides until the store does. */
function consequenceOf({ onError, share }: StoreUser): string {
  if (onError === 'open') return 'Until it does, every call is admitted.'
  if (onError === 'closed') return 'Until it does, every call is denied.'
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

function warn(code: string, message: string): void {
  process.emitWarning(message, { type: 'RateThrottleWarning', code })
}
