import { retryAfterOf } from '../../decision.ts'
import { ConcurrencyExceeded, RateLimitExceeded } from '../../errors.ts'
import type { HeaderStyle } from '../../http/headers.ts'
import { setLegacyHeaders } from '../../http/legacy-headers.ts'
import { errorOf, sendRefusal } from '../../http/response.ts'
import { andThen } from '../../limiter.ts'
import type { Admission, ConnectRefusal, Handshake } from './handshake.ts'
import { HANDSHAKE, type HandshakeResponse } from './handshake-response.ts'
import type { ConnectErrorData } from './types.ts'

/** A close frame has room for this many bytes of reason. */
const MAX_REASON = 123
const POLICY_VIOLATION = 1008
const INTERNAL_ERROR = 1011
const TRY_AGAIN_LATER = 1013

/** The error that stands for a refusal. */
export function connectErrorOf(
  refusal: Exclude<ConnectRefusal, Admission>,
): Exclude<ConnectRefusal, object> | Error {
  return refusal instanceof ConcurrencyExceeded ? refusal : errorOf(refusal)
}

/** What a client of socket.io is told. */
export function connectErrorData(refusal: ConnectRefusal): ConnectErrorData {
  const error = connectErrorOf(refusal) as Error & { code: string; retryAfter?: number }
  const { code, retryAfter = Number.POSITIVE_INFINITY } = error
  return { code, retryAfter: retryAfterOf(retryAfter * 1_000) }
}

/** The code and the reason of the close frame that a refused connection gets. */
export function closingOf(refusal: ConnectRefusal): readonly [code: number, reason: string] {
  const error = connectErrorOf(refusal) as Error & { statusCode: number }
  const code =
    error.statusCode === 500
      ? INTERNAL_ERROR
      : error.statusCode === 503
        ? TRY_AGAIN_LATER
        : POLICY_VIOLATION
  return [code, reasonText(error.message)]
}

/** A text that fits a close frame: cut between characters. */
export function reasonText(text: string): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= MAX_REASON) return text
  let end = MAX_REASON
  // Not in the middle of a character: its further bytes begin with the bits 10.
  while (((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** Answers a refused handshake, as the options say. */
export function refuseHandshake(
  { limiter }: Handshake,
  refusal: ConnectRefusal,
  request: object,
  response: HandshakeResponse,
  headers: HeaderStyle,
): void {
  if (refusal instanceof ConcurrencyExceeded) {
    sendPermitRefusal(refusal, response, headers)
    return
  }
  const send = (): void => sendRefusal(HANDSHAKE as never, response, refusal)
  const answered =
    limiter === undefined ? send() : limiter.refuse(refusal, { request, response }, send)
  void andThen(answered, () => {})
}

function sendPermitRefusal(
  { decision, retryAfter, statusCode, code, message }: ConcurrencyExceeded,
  response: HandshakeResponse,
  style: HeaderStyle,
): void {
  if (response.isFinished) return
  if (style === 'legacy' || style === 'both') {
    setLegacyHeaders(decision, 0, response, HANDSHAKE as never)
  }
  if (style === 'draft' || style === 'both') {
    const policy = `"connections";q=${decision.limit};qu="concurrent-requests"`
    response.headers.set('ratelimit-policy', policy)
    response.headers.set('ratelimit', `"connections";r=0;t=${retryAfter}`)
  }
  response.headers.set('retry-after', String(retryAfter))
  const body = { statusCode, code, error: 'Too Many Requests', message }
  response.send(statusCode, 'application/json; charset=utf-8', JSON.stringify(body))
}

/** Whether it is a denial of limits, rather than a failure. */
export function isDenial(error: unknown): boolean {
  return error instanceof RateLimitExceeded
}
