import type { Warnings } from './warning.ts'

/** Addresses for documentation (RFC 5737, RFC 3849), one of each kind: no proxy of anybody's. */
const NOBODY = ['203.0.113.1', '2001:db8::1']

/** Whether a framework believes a peer that it has never been told of. */
export type Believes = (address: string, hop: number) => boolean

/**
 * Whether a framework's proxy setting names the proxies it believes.
 *
 * One that believes everybody, or a number of hops whoever they are, lets each client that reaches the
 * server choose its address. Such a setting is told of, and is not followed.
 */
export function namesProxies(setting: unknown, believes: Believes, warnings: Warnings): boolean {
  if (typeof setting === 'number') {
    warnings.warnOnce('RATETHROTTLE_HOP_COUNT', `${COUNT} ${ADVICE}`)
    return false
  }
  if (!NOBODY.some((address) => believes(address, 0))) return true
  warnings.warnOnce('RATETHROTTLE_PERMISSIVE_PROXY', `${EVERYBODY} ${ADVICE}`)
  return false
}

const COUNT =
  'the proxy setting is a number of hops: whoever reaches the server itself would be one of them, so ' +
  'forwarded addresses are not believed and clients behind a proxy share one budget.'
const EVERYBODY =
  'the proxy setting believes everybody, so each client would choose its own address: forwarded addresses ' +
  'are not believed and clients behind a proxy share one budget.'
const ADVICE =
  'Name the proxies instead, by address or range, in the server\'s setting or as trust: ["10.0.0.0/8"]'
