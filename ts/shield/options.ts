import type { IncomingMessage } from 'node:http'
import { type AddressRanges, readRanges } from '../client-ip/cidr.ts'
import type { Clock } from '../clock.ts'
import { checkLimit } from '../limit/limit.ts'
import { readDuration, readLimits } from '../limit/parse.ts'
import { checkSharing, type OnMismatch, SHARING, type Sharing } from '../options.ts'
import * as validate from '../validate.ts'
import { REQUEST_READERS, type RequestOptions, type RequestSettings } from './settings.ts'
import { type BlocksOptions, readBlocks as readSharedBlocks } from './shared-blocks.ts'
import type { ShieldMode } from './types.ts'

/** A rate, such as `'50/second'`. */
export type Rate = string

/** A duration, as `'2 minutes'` or in milliseconds. */
export type Duration = string | number

/** Options of {@link shield}. Each has a default. */
export interface ShieldOptions<Request = IncomingMessage> extends RequestOptions<Request> {
  /** `'watch'` reports and refuses no request; `'enforce'` refuses; `'off'` does nothing. Default: `'watch'`. */
  readonly mode?: ShieldMode | undefined
  /**
   * What the service can do, as `'1000/second'`; or `'auto'`: measured in this process, so not with `name`. Default:
   * `'auto'` in watch mode without `name`. In enforce mode `'auto'` has to be asked for. Without `maxRate` there is
   * never pressure.
   */
  readonly maxRate?: Rate | 'auto' | undefined
  /** What one source may send, ever; a regular of more than an hour: 8 times its habit. Default: `'50/second'`. */
  readonly ceiling?: Rate | undefined
  /** When a source is a regular. Default: after 45 seconds and 12 requests. */
  readonly regulars?: { readonly after?: Duration; readonly requests?: number } | undefined
  /** The pace of a newcomer under pressure. Default: `'45/minute'`, 20 at once. */
  readonly newcomers?: { readonly rate?: Rate; readonly burst?: number } | undefined
  /** How often a source may return before the time it was told. Default: 8 within a minute. */
  readonly insistence?:
    | {
        readonly strikes?: number
        readonly within?: Duration
        readonly block?: Duration | readonly Duration[]
      }
    | undefined
  /** How many requests of a source may fail. Default: 15, 80 % of its requests, on 16 paths. */
  readonly failures?:
    | {
        readonly min?: number
        readonly share?: number
        readonly distinctPaths?: number
        readonly block?: Duration | readonly Duration[]
      }
    | undefined
  /** When many new sources of one network are one. Default: above 5 % of all traffic of a /24 or /48. */
  readonly prefixes?:
    | { readonly ipv4?: number; readonly ipv6?: number; readonly share?: number }
    | undefined
  /** Addresses and ranges that are never refused. */
  readonly allow?: string | readonly string[] | undefined
  /** Sources that are remembered. Default: 65,536, about 5 MB. */
  readonly sources?: number | undefined
  /** One shield for all worker_threads of the process that use this name. Default: one that no other guard uses. */
  readonly name?: string | undefined
  /**
   * One shield for all processes of this user on this host that use the same `name` and the same settings: they
   * see the same sources, blocks and pardons. Takes no `clock`. Default: false.
   */
  readonly shared?: boolean | undefined
  /**
   * When there is no shared state to be had that can be trusted: fail, or go on in this process alone, with a
   * warning. Only with `shared`. Default: `'error'`.
   */
  readonly onMismatch?: OnMismatch | undefined
  /**
   * Shares the blocks and pardons of all hosts of a service, by Redis. No request waits for it. Takes no `clock`.
   * Default: they are not shared.
   */
  readonly blocks?: BlocksOptions | undefined
  /** Time source for tests. With one, nothing runs on timers. */
  readonly clock?: Clock | undefined
}

/** What the core is made from: numbers in its units. */
interface CoreOptions {
  sources: number
  maxRate: number
  ceiling: number
  regularAfterMs: number
  regularRequests: number
  newcomerRate: number
  newcomerBurst: number
  strikes: number
  strikesWithinMs: number
  insistenceBlocks: number[]
  failures: number
  failureShare: number
  failurePaths: number
  failureBlocks: number[]
  v4Prefix: number
  v6Prefix: number
  prefixShare: number
}

/** Options that have been checked, with every default filled in. */
export interface ResolvedShieldOptions {
  readonly mode: ShieldMode
  readonly isAuto: boolean
  readonly allow: AddressRanges | undefined
  readonly clock: Clock | undefined
  readonly requests: RequestSettings
  readonly blocks: BlocksOptions | undefined
  readonly sharing: Pick<Sharing, 'name' | 'shared'> & { readonly onMismatch: OnMismatch }
  readonly native: CoreOptions
}

/** The longest list of blocks. */
const MAX_BLOCKS = 8
const DAY_MS = 86_400_000
const MAX_BLOCK_MS = 7 * DAY_MS
const MAX_SOURCES = 2 ** 24

interface Regulars {
  readonly after: number
  readonly requests: number
}
interface Newcomers {
  readonly rate: number
  readonly burst: number
}
interface Insistence {
  readonly strikes: number
  readonly within: number
  readonly block: readonly number[]
}
interface Failures {
  readonly min: number
  readonly share: number
  readonly distinctPaths: number
  readonly block: readonly number[]
}
interface Prefixes {
  readonly ipv4: number
  readonly ipv6: number
  readonly share: number
}

interface Read extends RequestSettings, Sharing {
  readonly mode: ShieldMode
  readonly maxRate: number | 'auto' | undefined
  readonly ceiling: number
  readonly regulars: Regulars
  readonly newcomers: Newcomers
  readonly insistence: Insistence
  readonly failures: Failures
  readonly prefixes: Prefixes
  readonly allow: AddressRanges | undefined
  readonly sources: number
  readonly blocks: BlocksOptions | undefined
}

const READERS: validate.Readers<Read> = {
  mode: (value = 'watch', name) => validate.oneOf(value, name, ['watch', 'enforce', 'off']),
  maxRate: validate.optional((value, name) => (value === 'auto' ? value : readRate(value, name))),
  ceiling: (value = '50/second', name) => readRate(value, name),
  regulars: nested<Regulars>({
    after: (value = '45 seconds', name) => readTime(value, name, DAY_MS),
    requests: (value = 12, name) => validate.integer(value, name, 1, 100_000),
  }),
  newcomers: nested<Newcomers>({
    rate: (value = '45/minute', name) => readRate(value, name),
    burst: (value = 20, name) => validate.integer(value, name, 1, 100_000),
  }),
  insistence: nested<Insistence>({
    strikes: (value = 8, name) => validate.integer(value, name, 1, 255),
    within: (value = '1 minute', name) => readTime(value, name, DAY_MS),
    block: (value = ['2 minutes', '10 minutes', '1 hour'], name) => readBlocks(value, name),
  }),
  failures: nested<Failures>({
    min: (value = 15, name) => validate.integer(value, name, 1, 2_000),
    share: (value = 0.8, name) => readShare(value, name),
    distinctPaths: (value = 16, name) => validate.integer(value, name, 1, 64),
    block: (value = ['10 minutes', '1 hour'], name) => readBlocks(value, name),
  }),
  prefixes: nested<Prefixes>({
    ipv4: (value = 24, name) => validate.integer(value, name, 8, 32),
    ipv6: (value = 48, name) => validate.integer(value, name, 16, 64),
    share: (value = 0.05, name) => readShare(value, name),
  }),
  allow: validate.optional(readRanges),
  sources: (value = 65_536, name) => validate.integer(value, name, 64, MAX_SOURCES),
  blocks: validate.optional(readSharedBlocks),
  ...SHARING,
  ...REQUEST_READERS,
}

/** Names of the options of a shield. */
export const SHIELD_OPTIONS: readonly string[] = Object.keys(READERS)

/**
 * Checks options and fills in the defaults.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function resolveShieldOptions(options: ShieldOptions<never>): ResolvedShieldOptions {
  const read = validate.readOptions<Read>(options, READERS)
  if (read.blocks !== undefined && read.clock !== undefined) {
    const message = 'blocks excludes clock: hosts share the time of Redis'
    throw validate.withCode(new TypeError(message), 'INVALID_OPTION')
  }
  const { mode, maxRate, regulars, newcomers, insistence, failures, prefixes } = read
  if (maxRate === 'auto' && read.name !== undefined) {
    // What this thread can do is not what all can do that share the shield.
    const accepted = "a rate such as '1000/second' for a shield with a name"
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'maxRate', accepted, maxRate)
  }
  const isMeasured = mode === 'watch' && read.name === undefined
  return {
    mode,
    isAuto: maxRate === 'auto' || (maxRate === undefined && isMeasured),
    allow: read.allow,
    clock: read.clock,
    requests: read,
    blocks: read.blocks,
    sharing: { name: read.name, shared: read.shared, onMismatch: checkSharing(read) },
    native: {
      sources: read.sources,
      maxRate: typeof maxRate === 'number' ? maxRate : Number.POSITIVE_INFINITY,
      ceiling: read.ceiling,
      regularAfterMs: regulars.after,
      regularRequests: regulars.requests,
      newcomerRate: newcomers.rate,
      newcomerBurst: newcomers.burst,
      strikes: insistence.strikes,
      strikesWithinMs: insistence.within,
      insistenceBlocks: [...insistence.block],
      failures: failures.min,
      failureShare: failures.share,
      failurePaths: failures.distinctPaths,
      failureBlocks: [...failures.block],
      v4Prefix: prefixes.ipv4,
      v6Prefix: prefixes.ipv6,
      prefixShare: prefixes.share,
    },
  }
}

/** An option that is an object with options of its own. */
function nested<T extends object>(readers: validate.Readers<T>): validate.Reader<T> {
  return (value = {}, name) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'an object', value)
    }
    const named = Object.entries(readers).map(([own, read]) => [
      own,
      (given: unknown) => (read as validate.Reader<unknown>)(given, `${name}.${own}`),
    ])
    return validate.readOptions<T>(value as T, Object.fromEntries(named))
  }
}

/** A limit as a rate per second. */
function readRate(value: unknown, name: string): number {
  const accepted = "a rate such as '50/second'"
  if (typeof value !== 'string' && (typeof value !== 'object' || value === null)) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, accepted, value)
  }
  const limits = typeof value === 'string' ? readLimits(value, name) : [checkLimit(value, name)]
  const [limit] = limits
  if (limit === undefined || limits.length > 1) {
    throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
  }
  return (limit.count * 1_000) / limit.windowMs
}

function readTime(value: unknown, name: string, most: number): number {
  const ms = readDuration(value, name)
  if (ms <= most) return ms
  const accepted = `at most ${most / DAY_MS} ${most === DAY_MS ? 'day' : 'days'}`
  throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
}

function readBlocks(value: unknown, name: string): readonly number[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0 || list.length > MAX_BLOCKS) {
    const accepted = `a duration, or 1 to ${MAX_BLOCKS} of them`
    throw validate.invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
  }
  return list.map((one, i) => readTime(one, `${name}[${i}]`, MAX_BLOCK_MS))
}

function readShare(value: unknown, name: string): number {
  if (typeof value === 'number' && value > 0 && value <= 1) return value
  const kind = typeof value === 'number' ? RangeError : TypeError
  throw validate.invalid(kind, 'INVALID_OPTION', name, 'a number above 0 and at most 1', value)
}
