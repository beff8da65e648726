import * as validate from '../validate.ts'
import type { ShieldOutcome, ShieldRequest } from './types.ts'

/** Whether the client is at fault: not where it was refused, was too slow, or the server failed. */
export function isFailure(outcome: ShieldOutcome): boolean {
  if (typeof outcome !== 'number' || outcome < 400 || outcome >= 500) return false
  return outcome !== 408 && outcome !== 425 && outcome !== 429
}

/** Paths are looked at up to here. */
const MAX_PATH = 256

/**
 * FNV-1a of the first characters, down to 24 bits.
 *
 * @param seed so that no one can choose paths that look like one
 */
export function pathHash(path: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  const length = Math.min(path.length, MAX_PATH)
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193)
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 8
}

/** @throws TypeError unless the request has an address */
export function addressOf(request: ShieldRequest): string {
  const ip: unknown = request?.ip
  if (typeof ip === 'string') return ip
  const name = request === undefined || request === null ? 'request' : 'ip'
  const accepted = name === 'ip' ? 'a string' : 'an object with ip'
  throw validate.invalid(TypeError, 'INVALID_ARGUMENT', name, accepted, ip)
}
