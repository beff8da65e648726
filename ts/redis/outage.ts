import type { FailureReason, StoreFailure } from '../remote/failure.ts'
import type { StoreUser } from './user.ts'

/** What an operator may do about a reason, or what it means. */
const HINTS: Readonly<Record<string, string>> = {
  disconnected: 'the connection is gone',
  forbidden: 'it refuses the user, the password, or a command that is needed',
  garbled: 'what answers is no Redis',
  hangup: 'it closes the connection before it says a word. A port for TLS needs rediss:',
  refused: 'it answers that it cannot do this now',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  EACCES: 'this user may not open the socket',
  ECONNREFUSED: 'no server listens there',
  EHOSTUNREACH: 'there is no way to its host',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'its host name is not known',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the port does not speak TLS. It needs redis:, not rediss:',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'the port does not seem to speak TLS. It needs redis:, not rediss:',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host name',
  ETIMEDOUT: 'its host does not answer',
  LOADING: 'it is loading its data',
  MAXCLIENTS: 'it has as many clients as it takes',
  MOVED: 'it is one server of a cluster. It needs redis+cluster:, or a client of the class Cluster',
  NOCLUSTER: 'it is no cluster. It needs redis:',
  NOMASTER: 'Sentinel knows no primary of this name',
  OOM: 'it is out of memory',
  READONLY: 'it is a replica',
  SELECT: 'it refuses to select the database',
}
const UNTRUSTED =
  'its certificate is not trusted. Set NODE_EXTRA_CA_CERTS, or pass a client with the authority in option tls'
const UNTRUSTED_CODES = /SELF_SIGNED|UNABLE_TO|CERT_UNTRUSTED|CERT_SIGNATURE|INVALID_CA/

/**
 * Tells an operator once that an outage has begun, with what is known then, and once that it is over. An
 * outage lasts until every server decides again.
 */
export class Outage<Gate> {
  readonly #users: ReadonlySet<StoreUser>
  readonly #away = new Set<Gate>()
  #since = 0
  #told: FailureReason | undefined
  /** A time-out whose cause the next probe will tell. */
  #unclear: StoreFailure | undefined

  constructor(users: ReadonlySet<StoreUser>) {
    this.#users = users
  }

  begins(gate: Gate, failure: StoreFailure): void {
    if (this.#away.size === 0) this.#since = performance.now()
    const isFirst = this.#away.size === 0
    this.#away.add(gate)
    if (!isFirst) return
    if (failure.reason === 'timeout') this.#unclear = failure
    else this.#tellDown(failure)
  }

  /** A probe has found out more. */
  goesOn(failure: StoreFailure): void {
    if (this.#unclear === undefined) return
    this.#tellDown(failure.reason === 'disconnected' ? this.#unclear : failure)
  }

  ends(gate: Gate): void {
    this.#away.delete(gate)
    if (this.#away.size > 0) return
    if (this.#unclear !== undefined) this.#tellDown(this.#unclear)
    const reason = this.#told
    this.#told = undefined
    if (reason === undefined) return
    const seconds = ((performance.now() - this.#since) / 1_000).toFixed(1)
    warn('RATETHROTTLE_STORE_UP', `Redis decides again, after ${seconds} s (${reason}).`)
  }

  #tellDown(failure: StoreFailure): void {
    this.#unclear = undefined
    // A listener of the operator's own takes the place of the warnings.
    if ([...this.#users].some(({ onStoreChange }) => onStoreChange !== undefined)) return
    this.#told = failure.reason
    const why = `${failure.message}): ${this.#explain(failure)}`
    const meanwhile = new Set([...this.#users].map(consequenceOf))
    warn('RATETHROTTLE_STORE_DOWN', `Redis does not decide (${why}. ${[...meanwhile].join(' ')}`)
  }

  #explain({ reason }: StoreFailure): string {
    const deadlines = [...this.#users].map(({ deadlineMs }) => deadlineMs)
    const deadline = `deadlineMs (${Math.min(...deadlines)})`
    if (reason === 'slow') return `a round trip takes longer than ${deadline}`
    if (reason === 'timeout') return `there was no answer within ${deadline}`
    const hint = HINTS[reason] ?? (UNTRUSTED_CODES.test(reason) ? UNTRUSTED : undefined)
    return hint ?? 'there is no connection, or it refuses'
  }
}

/** What decides until Redis does. */
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
