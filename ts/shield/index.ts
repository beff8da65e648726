import type { IncomingMessage } from 'node:http'
import { Guard } from './guard.ts'
import type { ShieldOptions } from './options.ts'

export type {
  AlarmEvent,
  BlockEvent,
  PressureEvent,
  ShieldEvent,
  ShieldHooks,
} from './events.ts'
export type { Guard } from './guard.ts'
export type { Duration, Rate, ShieldOptions } from './options.ts'
export type { ProtectedServer, ProtectOptions } from './protect.ts'
export type { RequestOptions, Suspect } from './settings.ts'
export type { BlocksOptions } from './shared-blocks.ts'
export type * from './types.ts'
export type { RequestVerdict, SuspectAnswer } from './verdict.ts'

/**
 * Makes a shield: it tells regulars from floods, scans and stuffing, and refuses the latter in mode `'enforce'`.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function shield<Request = IncomingMessage>(options: ShieldOptions<Request> = {}): Guard {
  return new Guard(options)
}
