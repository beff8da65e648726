import { Guard } from './guard.ts'
import type { ShieldOptions } from './options.ts'

export type { Guard } from './guard.ts'
export type { Duration, Rate, ShieldOptions } from './options.ts'
export type {
  Level,
  Reason,
  ShieldDecision,
  ShieldMode,
  ShieldOutcome,
  ShieldRequest,
  ShieldState,
  ShieldVerdict,
  TopSource,
} from './types.ts'

/**
 * Makes a shield: it tells regulars from floods, scans and stuffing, and refuses the latter in mode `'enforce'`.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function shield(options: ShieldOptions = {}): Guard {
  return new Guard(options)
}
