import type { HttpOptions, RedisSettings } from '../http/options.ts'
import { READERS } from '../http/options.ts'
import { withSettings } from '../storage-url.ts'
import * as validate from '../validate.ts'
import { CALL_OPTIONS, type CallOptions, pickGiven } from './options.ts'

/** Options that mean for calls what they mean for requests. */
type AsForRequests =
  | 'key'
  | 'trust'
  | 'missingKey'
  | 'onKeyError'
  | 'keyTimeoutMs'
  | 'onAdmit'
  | 'onDeny'
  | 'onError'
  | 'onStoreError'
  | 'shield'

/** Options of a protocol whose calls are limited by who calls. */
export interface GateOptions<Call>
  extends Omit<CallOptions, 'onError'>,
    Pick<HttpOptions<Call>, AsForRequests> {}

const OF_GATE = [
  ...['key', 'trust', 'missingKey', 'onKeyError', 'keyTimeoutMs'],
  ...['onAdmit', 'onDeny', 'onError', 'onStoreError', 'dryRun', 'insight'],
] as const

type OfGate = Exclude<AsForRequests, 'shield'> | 'dryRun' | 'insight'

const GATE_READERS = Object.fromEntries(
  OF_GATE.map((name) => [name as string, READERS[name as OfGate]]),
) as Pick<typeof READERS, OfGate>

/** Of what all limiters of a gate have in common. */
const OF_LIMITERS = CALL_OPTIONS.filter((name) => name !== 'limits' && name !== 'concurrent')

/** {@link GateOptions} that have been checked. */
export interface ReadGateOptions {
  readonly gate: { readonly [Name in OfGate]: ReturnType<(typeof READERS)[Name]> }
  readonly shield: HttpOptions<never>['shield']
  /** What is known of option `key` and `missingKey` as they were given. */
  readonly expectsMissingKeys: boolean
  /** For each limiter behind the gate. */
  readonly common: CallOptions
  /** All options as they were given, own ones only. */
  readonly own: object
}

/**
 * @param more names of the protocol's own options, which it reads itself from `own`
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function readGateOptions(options: object, more: readonly string[]): ReadGateOptions {
  const known = [...new Set([...CALL_OPTIONS, ...OF_GATE, 'shield', ...more])]
  const own = withSettings(validate.ownOptions(options, known)) as GateOptions<never>
  const { onError, onStoreError, key, missingKey, shield } = own
  const policy = (typeof onError === 'string' ? onError : onStoreError) as RedisSettings['onError']
  const common = { ...pickGiven(own, OF_LIMITERS), onError: policy }
  return {
    gate: validate.readEach(own, GATE_READERS as validate.Readers<ReadGateOptions['gate']>),
    shield: shield as HttpOptions<never>['shield'],
    expectsMissingKeys: key === undefined || missingKey !== undefined,
    common,
    own,
  }
}
