import { readTrust, type Trust, type TrustInput } from '../client-ip/trust-proxy.ts'
import { Warnings } from '../http/events.ts'
import { readDuration } from '../limit/parse.ts'
import * as validate from '../validate.ts'
import type { ShieldHooks } from './events.ts'
import { Proxies } from './proxies.ts'
import type { ServiceLoad } from './service-load.ts'
import { Tarpit } from './tarpit.ts'
import type { Level, Reason } from './types.ts'
import type { SuspectAnswer } from './verdict.ts'

/** A request that is about to be refused. */
export interface Suspect<Request> {
  readonly level: Level
  readonly reasons: readonly Reason[]
  readonly request: Request
  /** The client's address; for IPv6 its /64, as `2001:db8:1:2::/64`. */
  readonly source: string
}

/** Options of a shield that concern the requests of a server. */
export interface RequestOptions<Request> extends ShieldHooks {
  /** Whether failures of this request are enough to block its source, as at a login. Default: none are. */
  readonly sensitive?: ((request: Request) => boolean) | undefined
  /** Asked before a request is refused. Default: every one of them is. */
  readonly onSuspect?: ((suspect: Suspect<Request>) => SuspectAnswer) | undefined
  /**
   * Holds refusals of level 3 for `ms` before they are answered; at most `max` at once, others are answered at
   * once. `{}` is 2 seconds and 256. Default: none is held.
   */
  readonly tarpit?:
    | { readonly ms?: string | number | undefined; readonly max?: number | undefined }
    | undefined
  /** Proxies whose forwarded addresses are trusted, unless the adapter has an option `trust` of its own. */
  readonly trust?: TrustInput | undefined
}

/** {@link RequestOptions} that have been checked. */
export interface RequestSettings extends ShieldHooks {
  readonly sensitive: ((request: object) => unknown) | undefined
  readonly onSuspect: ((suspect: Suspect<object>) => unknown) | undefined
  readonly tarpit: Tarpit
  readonly trust: Trust | undefined
}

const MAX_HOLD_MS = 60_000
const MAX_HELD = 100_000

/** Each of the options with its reader. */
export const REQUEST_READERS: validate.Readers<RequestSettings> = {
  sensitive: validate.optionalFunction,
  onSuspect: validate.optionalFunction,
  tarpit: readTarpit,
  trust: validate.optional(readTrust),
  onBlock: validate.optionalFunction,
  onPressure: validate.optionalFunction,
}

function readTarpit(value: unknown, name: string): Tarpit {
  if (value === undefined) return new Tarpit(0, 0)
  if (typeof value !== 'object' || value === null) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'an object { ms, max }', value)
  }
  const { ms = 2_000, max = 256 } = validate.ownOptions<{ ms?: unknown; max?: unknown }>(value, [
    'ms',
    'max',
  ])
  const duration = readDuration(ms, `${name}.ms`)
  if (duration > MAX_HOLD_MS) {
    const accepted = `at most ${MAX_HOLD_MS} milliseconds`
    throw validate.invalid(RangeError, 'INVALID_OPTION', `${name}.ms`, accepted, ms)
  }
  return new Tarpit(duration, validate.integer(max, `${name}.max`, 0, MAX_HELD))
}

/** What is known of a guard beside its rules: apart, so that it is no property of a public object. */
interface Kept {
  readonly settings: RequestSettings
  readonly warnings: Warnings
  readonly proxies: Proxies
  /** Only where `maxRate` is `'auto'`. */
  readonly load: ServiceLoad | undefined
}

const KEPT = new WeakMap<object, Kept>()

/** Keeps the settings of a guard, for all adapters that ask it. */
export function keepSettings(guard: object, settings: RequestSettings, load?: ServiceLoad): void {
  const proxies = new Proxies()
  if (settings.trust !== undefined) proxies.trust(settings.trust)
  KEPT.set(guard, { settings, warnings: new Warnings(), proxies, load })
}

/** @throws TypeError for what looks like a guard and is none of this copy of the package: its settings are not known */
export function settingsOf(guard: object): Kept {
  const known = KEPT.get(guard)
  if (known !== undefined) return known
  const accepted = 'options of a shield, or a guard that shield() of this copy of the package made'
  throw validate.invalid(TypeError, 'INVALID_OPTION', 'shield', accepted, guard)
}
