import type { Clock } from '../clock.ts'
import { type ControlInput, readControl } from '../control/server.ts'
import { checkSharing, type OnMismatch, SHARING } from '../options.ts'
import { isRedisStorage } from '../storage-url.ts'
import * as validate from '../validate.ts'
import type { Alerts } from './alerts/types.ts'
import type { KeyStyle } from './types.ts'

/** Options of {@link insight}. */
export interface InsightOptions {
  /**
   * How keys are shown: `'hash'`, 8 hex digits of a keyed hash; `'mask'`, an address without its end and the beginning
   * of other keys; `'plain'`, up to 64 characters as they are. Default: `'hash'`.
   */
  readonly keys?: KeyStyle | undefined
  /** Keys that are known of those that ask most, and of those that are denied most, up to 1,000. Default: 100. */
  readonly top?: number | undefined
  /** One insight for all worker_threads of the process that use this name. Default: one that no other shares. */
  readonly name?: string | undefined
  /** One insight for all processes of this user on this host that use the same `name`. Default: false. */
  readonly shared?: boolean | undefined
  /** When there is no shared memory to be had: fail, or count in this process alone. Default: `'error'`. */
  readonly onMismatch?: OnMismatch | undefined
  /**
   * Where hosts tell each other what they have counted, every ten seconds: a URL of Redis, a client of ioredis or the
   * `storage` of a `RedisLimiter`. Reports about a time and series of minutes and hours are then about all hosts whose
   * insight has the same `name`. Takes no `clock`. Default: they are about this host.
   */
  readonly storage?: string | object | undefined
  /** Begins the name of every key in that Redis. Default: `'ratethrottle:'`. */
  readonly keyPrefix?: string | undefined
  /** Where the time comes from. Default: the system's clocks. */
  readonly clock?: Clock | undefined
  /** Rules that are watched: what `alerts()` returns. The insight closes it. */
  readonly alerts?: Alerts | undefined
  /** A socket on which `npx ratethrottle` asks about this process, and changes it. Default: off. */
  readonly control?: ControlInput | false | undefined
}

/** Options with every default filled in. */
export interface ResolvedInsightOptions {
  readonly keys: KeyStyle
  readonly top: number
  readonly name: string | undefined
  readonly shared: boolean
  readonly onMismatch: OnMismatch | undefined
  readonly storage: unknown
  readonly keyPrefix: string | undefined
  readonly clock: Clock | undefined
  readonly alerts: Alerts | undefined
  readonly control: ControlInput | undefined
}

/** Each option with its reader: the only list of their names. */
const READERS: validate.Readers<ResolvedInsightOptions> = {
  keys: (value, name) => validate.oneOf(value ?? 'hash', name, ['hash', 'mask', 'plain']),
  top: (value, name) => validate.integer(value ?? 100, name, 0, 1_000),
  ...SHARING,
  storage: validate.optional(readStorage),
  keyPrefix: validate.optional((value, name) => validate.text(value, name, 0, 256)),
  alerts: validate.optional(readAlerts),
  // `false` as `control: process.env.CONTROL === '1'` gives it.
  control: (value) => (value === undefined || value === false ? undefined : readControl(value)),
}

/** @throws TypeError or RangeError that names the option, its value and what is accepted */
export function readInsightOptions(options: InsightOptions): ResolvedInsightOptions & {
  readonly onMismatch: OnMismatch
} {
  const read = validate.readOptions<ResolvedInsightOptions>(options, READERS)
  if (read.storage !== undefined && read.clock !== undefined) {
    const message = 'storage excludes clock: hosts share the time of Redis'
    throw validate.withCode(new TypeError(message), 'INVALID_OPTION')
  }
  return { ...read, onMismatch: checkSharing(read) }
}

function readStorage(value: unknown, name: string): unknown {
  if (isRedisStorage(value, name)) return value
  const accepted = 'a URL of Redis, a client of ioredis or a RedisStorage'
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
}

function readAlerts(value: unknown, name: string): Alerts {
  const { watch } = (value ?? {}) as Partial<Alerts>
  if (typeof watch === 'function') return value as Alerts
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'what alerts() returns', value)
}
