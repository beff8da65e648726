import type { Metadata, status } from '@grpc/grpc-js'
import type { Refusal } from '../../calls/gate.ts'
import { RateLimitExceeded } from '../../errors.ts'
import type { Ending } from '../../http/adapter.ts'
import { encodeStatus } from './retry-info.ts'

/** What grpc-js must be asked for: loaded by the adapter alone. */
export interface Grpc {
  readonly Metadata: new () => Metadata
}

/** How a call ends that is refused. */
export interface RefusedStatus {
  readonly code: status
  readonly details: string
  readonly metadata: Metadata
}

/** Numbers of google/rpc/code.proto. */
const RESOURCE_EXHAUSTED = 8
const INTERNAL = 13
const UNAVAILABLE = 14
const UNAUTHENTICATED = 16

const CODES: Readonly<Record<string, number>> = {
  RATE_LIMIT_EXCEEDED: RESOURCE_EXHAUSTED,
  ABNORMAL_USAGE: RESOURCE_EXHAUSTED,
  REDUCED_CAPACITY: UNAVAILABLE,
  KEY_MISSING: UNAUTHENTICATED,
  RATE_LIMITER_FAILED: INTERNAL,
}

/** The status of a refusal: where waiting helps, with how long, as `retry-after` and as `google.rpc.RetryInfo`. */
export function refusedStatus(grpc: Grpc, refusal: Refusal): RefusedStatus {
  const code = CODES[refusal.code] ?? INTERNAL
  const metadata = new grpc.Metadata()
  const ms = retryAfterMs(refusal)
  if (ms !== undefined) {
    metadata.set('retry-after', String(Math.ceil(ms / 1000)))
    metadata.set('grpc-status-details-bin', encodeStatus(code, refusal.message, ms))
  }
  return { code, details: refusal.message, metadata }
}

function retryAfterMs(refusal: Refusal): number | undefined {
  if (refusal instanceof RateLimitExceeded) {
    const { retryAfterMs } = refusal.decision
    return Number.isFinite(retryAfterMs) ? retryAfterMs : undefined
  }
  return refusal.retryAfter === undefined ? undefined : refusal.retryAfter * 1000
}

/** The status of HTTP that a status of gRPC means, by number: google/rpc/code.proto. */
const AS_HTTP = [
  ...[200, undefined, 500, 400, 504, 404, 409, 403, 429],
  ...[400, 409, 400, 501, 500, 503, 500, 401],
]

/** How a call ended, for the shield: the client's own mistakes are those of 400 to 499. */
export function endingOf(code: number): Ending {
  return code >= 0 && code < AS_HTTP.length ? AS_HTTP[code] : 500
}
