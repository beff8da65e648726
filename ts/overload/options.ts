import type { IncomingMessage } from 'node:http'
import type { Clock } from '../clock.ts'
import { readDuration } from '../limit/parse.ts'
import { readClock } from '../options.ts'
import * as validate from '../validate.ts'
import type { LimitBounds } from './limit.ts'
import type { Priority } from './priority.ts'

/** Options of `overload`. */
export interface OverloadOptions {
  /**
   * How many requests may be in flight at a time. `'auto'` finds out by how long they take, and also counts how busy
   * the event loop is. Default: `'auto'`.
   */
  readonly maxInFlight?: number | 'auto' | undefined
  /** Bounds of `'auto'`. Default: 10 to 1,000. */
  readonly min?: number | undefined
  readonly max?: number | undefined
  /**
   * How much a request matters. In every framework it is given the request of `node:http`. Without it all matter the
   * same.
   */
  readonly priority?: ((request: IncomingMessage) => Priority) | undefined
  /**
   * What a refused client is told to wait, as `'2 seconds'` or milliseconds; each is told between this and twice
   * this, so that they don't all return at once. Default: 2 seconds.
   */
  readonly retryAfter?: string | number | undefined
  /** Called for each request that is refused. */
  readonly onReject?: ((event: RejectEvent) => void) | undefined
  /** Time, for tests: with it nothing runs on timers, and the event loop does not count. */
  readonly clock?: Clock | undefined
}

/** A request that was refused, because the process has enough to do. */
export interface RejectEvent {
  /** `undefined` for a call of `enter`. */
  readonly request: IncomingMessage | undefined
  /** `undefined` where there are no priorities. */
  readonly priority: Priority | undefined
  /** `'in-flight'`: as many are being served as may be. `'load'`: the event loop has no time left. */
  readonly reason: RejectReason
}

export type RejectReason = 'in-flight' | 'load'

interface Read {
  readonly maxInFlight: number | 'auto'
  readonly min: number | undefined
  readonly max: number | undefined
  readonly priority: OverloadOptions['priority']
  readonly retryAfter: number
  readonly onReject: OverloadOptions['onReject']
  readonly clock: Clock | undefined
}

const MOST = 1_000_000
const readCount: validate.Reader<number> = (value, name) => validate.integer(value, name, 1, MOST)

const READERS: validate.Readers<Read> = {
  maxInFlight: (value = 'auto', name) => (value === 'auto' ? value : readMaxInFlight(value, name)),
  min: validate.optional(readCount),
  max: validate.optional(readCount),
  priority: validate.optionalFunction,
  retryAfter: (value = 2_000, name) => readDuration(value, name),
  onReject: validate.optionalFunction,
  clock: validate.optional(readClock),
}

function readMaxInFlight(value: unknown, name: string): number {
  if (typeof value === 'number') return readCount(value, name)
  throw validate.invalid('number', 'INVALID_OPTION', name, `"auto" or an integer from 1`, value)
}

/** Options that were checked. */
export interface ResolvedOverloadOptions extends Omit<Read, 'maxInFlight' | 'min' | 'max'> {
  readonly isAuto: boolean
  readonly bounds: LimitBounds
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolveOverloadOptions(options: OverloadOptions): ResolvedOverloadOptions {
  const { maxInFlight, min, max, ...rest } = validate.readOptions<Read>(options, READERS)
  if (maxInFlight === 'auto') {
    const most = max ?? Math.max(1_000, min ?? 0)
    const least = min ?? Math.min(10, most)
    if (least <= most) return { ...rest, isAuto: true, bounds: { min: least, max: most } }
    throw validate.invalid('number', 'INVALID_OPTION', 'min', `at most max (${most})`, least)
  }
  const isBounded = min !== undefined || max !== undefined
  if (!isBounded) return { ...rest, isAuto: false, bounds: { min: maxInFlight, max: maxInFlight } }
  const accepted = '"auto" where min or max is given'
  throw validate.invalid('number', 'INVALID_OPTION', 'maxInFlight', accepted, maxInFlight)
}
