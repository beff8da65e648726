import { SHARING } from '../../options.ts'
import {
  type ResolvedWaiting,
  readWaiting,
  WAITING_OPTIONS,
  type WaitingOptions,
} from '../../permits/options.ts'
import * as validate from '../../validate.ts'
import { type RemoteOptions, type RemoteSettings, readRemoteSettings } from '../options.ts'

/** Options of permits in a store behind a network. */
export interface RemotePermitsOptions
  extends WaitingOptions,
    Pick<
      RemoteOptions,
      'onError' | 'deadlineMs' | 'connectTimeoutMs' | 'processes' | 'onStoreChange'
    > {
  /** Limiters of this name share their permits. Default: none, as a name of its own. */
  readonly name?: string | undefined
  /** Begins the name of every key in the store: at most 256 characters, no braces. Default: `'ratethrottle:'`. */
  readonly keyPrefix?: string | undefined
  /**
   * How long a permit outlives the process that held it, in milliseconds: 500 to one hour. A process renews its permits
   * four times as often. Default: 10,000.
   */
  readonly leaseMs?: number | undefined
}

/** {@link RemotePermitsOptions} with every default filled in, but the prefix. */
export interface ResolvedPermits extends ResolvedWaiting, RemoteSettings {
  readonly name: string | undefined
  readonly leaseMs: number
  readonly capacity: number
}

const OF_STORE = ['onError', 'deadlineMs', 'connectTimeoutMs', 'processes', 'onStoreChange']
/** Names of the options that permits have in a store beside those that they have everywhere. */
export const STORE_PERMIT_OPTIONS: readonly string[] = ['keyPrefix', 'leaseMs', ...OF_STORE]

const [MIN_LEASE_MS, MAX_LEASE_MS, LEASE_MS] = [500, 3_600_000, 10_000]
const CAPACITY = 100_000

/**
 * Checks options, and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolvePermits(options: RemotePermitsOptions): ResolvedPermits {
  const own = validate.ownOptions(options, [...WAITING_OPTIONS, ...STORE_PERMIT_OPTIONS, 'name'])
  const waiting = readWaiting(own)
  return {
    ...readRemoteSettings(own),
    ...waiting,
    capacity: waiting.capacity ?? CAPACITY,
    name: SHARING.name(own.name, 'name'),
    leaseMs: validate.integer(own.leaseMs ?? LEASE_MS, 'leaseMs', MIN_LEASE_MS, MAX_LEASE_MS),
  }
}
