/** What every adapter exports beside its own `rateThrottle`. */

export { TRUST_EVERYBODY } from '../client-ip/trust-proxy.ts'
export { RateLimitExceeded, RequestRefused } from '../errors.ts'
export { allOf, byHeader, byIp, byUser, firstOf } from './key-functions.ts'
