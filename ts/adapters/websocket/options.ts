import type { IncomingMessage } from 'node:http'
import { type CallOptions, readCallOptions } from '../../calls/options.ts'
import { REDIS_OPTIONS } from '../../create.ts'
import type { KeyFunction } from '../../http/key-functions.ts'
import {
  type AnyHttpOptions,
  type HttpOptions,
  READERS,
  type ResolvedHttpOptions,
  resolveHttpOptions,
} from '../../http/options.ts'
import type { LimitsFunction } from '../../http/request-limits.ts'
import type { LimitInput } from '../../limit/limit.ts'
import { readLimits } from '../../limit/parse.ts'
import { LIMITER_OPTIONS } from '../../options.ts'
import { type ConcurrentInput, type PermitsPlace, readConcurrent } from '../../permits/open.ts'
import { isLimiter, SETTINGS, withSettings } from '../../storage-url.ts'
import * as validate from '../../validate.ts'
import type { MessageKey, SocketLimitEvent } from './types.ts'

/** What becomes of a message over its limit: it waits, it is dropped, or its connection is closed. */
export type Overflow = 'pause' | 'drop' | 'close'

/** Options of HTTP adapters that mean nothing for a connection that lasts. */
type NotOfSockets =
  | 'limits'
  | 'concurrent'
  | 'cost'
  | 'methods'
  | 'countWhen'
  | 'outcomeTimeoutMs'
  | 'slowDown'
  | 'handler'
  | 'config'

/**
 * Options of {@link socketLimits}: what is limited, and the options of HTTP adapters for the handshake, which is a
 * request of HTTP.
 */
export interface SocketLimitsOptions extends Omit<HttpOptions<IncomingMessage>, NotOfSockets> {
  /** Limits of how often a client connects. With the `scope` or `name` of a `rateThrottle` they count together. */
  readonly connections?: LimitInput | LimitsFunction<IncomingMessage> | undefined
  /** How many connections a client has at a time; or `{ perKey, total, queue, maxWaitMs }`. */
  readonly concurrent?: ConcurrentInput | undefined
  /** Limits of the messages of a client, of all its connections together. */
  readonly messages?: LimitInput | undefined
  /** The same in bytes: of the payload, after decompression. */
  readonly bytes?: LimitInput | undefined
  /**
   * What becomes of messages over these limits. Default: `'pause'`, nothing is lost: no more is read from the
   * connection until the message is admitted.
   */
  readonly overflow?: Overflow | undefined
  /** Largest message, in bytes. A larger one closes the connection (1009); with `overflow: 'drop'` it is dropped. */
  readonly maxMessageBytes?: number | undefined
  /** Whether all connections of a client count together, or each has its own budget. Default: `'client'`. */
  readonly per?: 'client' | 'connection' | undefined
  /** What a message is counted by, in place of `per`: such as the room it is for. */
  readonly messageKey?: MessageKey | undefined
  /** Called when a message is over a limit. */
  readonly onLimit?: ((event: SocketLimitEvent) => void) | undefined
}

const NOT_OF_SOCKETS: readonly string[] = [
  ...['limits', 'concurrent', 'cost', 'methods', 'countWhen', 'outcomeTimeoutMs', 'slowDown'],
  ...['handler', 'config'],
]
const OF_HTTP = [
  ...Object.keys(READERS).filter((name) => !NOT_OF_SOCKETS.includes(name)),
  ...LIMITER_OPTIONS.filter((name) => name !== 'shared'),
  ...REDIS_OPTIONS,
  ...SETTINGS,
]
/** Options that the limits of messages have in common with those of connections. */
const OF_MESSAGES = [
  ...LIMITER_OPTIONS.filter((name) => !['shared', 'name', 'blockFor', 'burst'].includes(name)),
  ...REDIS_OPTIONS.filter((name) => name !== 'onError' && name !== 'name' && name !== 'blockFor'),
  'storage',
]

interface Own {
  readonly connections: SocketLimitsOptions['connections']
  readonly concurrent: Exclude<ConcurrentInput, number> | undefined
  readonly messages: LimitInput | undefined
  readonly bytes: LimitInput | undefined
  readonly overflow: Overflow
  readonly maxMessageBytes: number | undefined
  readonly per: 'client' | 'connection'
  readonly messageKey: MessageKey | undefined
  readonly onLimit: ((event: SocketLimitEvent) => void) | undefined
}

const OWN: validate.Readers<Own> = {
  connections: (value, name) =>
    typeof value === 'function'
      ? (value as Own['connections'])
      : validate.optional(readLimits)(value, name),
  concurrent: validate.optional(readConcurrent),
  messages: validate.optional(readLimits),
  bytes: validate.optional(readLimits),
  overflow: (value = 'pause', name) => validate.oneOf(value, name, ['pause', 'drop', 'close']),
  maxMessageBytes: validate.optional((value, name) =>
    validate.integer(value, name, 1, Number.MAX_SAFE_INTEGER),
  ),
  per: (value = 'client', name) => validate.oneOf(value, name, ['client', 'connection']),
  messageKey: validate.optionalFunction,
  onLimit: validate.optionalFunction,
}

/** What the options ask for. */
export interface ReadSocketOptions extends Own {
  /** For the handshake. */
  readonly http: AnyHttpOptions
  readonly resolved: ResolvedHttpOptions
  /** For each of the two limits of messages, if there are any. */
  readonly ofMessages: CallOptions | undefined
  readonly ofBytes: CallOptions | undefined
  readonly permits: PermitsPlace
}

/**
 * @param place what limiters are called without a name
 * @throws TypeError, RangeError or InvalidLimit that names the option, its value and what is accepted
 */
export function readSocketOptions(options: SocketLimitsOptions, place: string): ReadSocketOptions {
  if (Object.hasOwn(Object(options), 'limits')) {
    const message =
      'unknown option "limits": handshakes have connections here, and messages messages'
    throw validate.withCode(new TypeError(message), 'INVALID_OPTION')
  }
  const given = validate.ownOptions(options, [...Object.keys(OWN), ...OF_HTTP])
  const own = validate.readEach<Own>(given, OWN)
  checkPurpose(given)
  checkUse(given)
  const rest = Object.entries(given).filter(([name]) => OF_HTTP.includes(name))
  const http = withSettings(Object.fromEntries(rest)) as AnyHttpOptions
  if (isLimiter(http.storage)) {
    const accepted = 'a place for the counters of several limits, not a limiter with limits'
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'storage', accepted, {})
  }
  const { name, scope } = http
  const base = scope === undefined ? name : `scope:${scope}`
  const callOptions = (limits: LimitInput | undefined, kind: string): CallOptions | undefined => {
    if (limits === undefined) return undefined
    const call = { ...common(http), limits, ...(base && { name: `${base} ${kind}` }) }
    readCallOptions(call, place)
    return call
  }
  return {
    ...own,
    http,
    resolved: resolveHttpOptions(http),
    ofMessages: callOptions(own.messages, 'messages'),
    ofBytes: callOptions(own.bytes, 'bytes'),
    permits: placeOf(http, `${base ?? place} connections`, own.connections === undefined),
  }
}

/** Most keys that can hold permits. A table for the keys of limits may have room for more. */
const MAX_HOLDERS = 10_000_000

/** Where permits are counted. @param isAlone whether no limit has a row of an insight in which refusals count */
function placeOf(http: AnyHttpOptions, name: string, isAlone: boolean): PermitsPlace {
  const { storage, keyPrefix, maxWaiters, insight } = http
  const capacity = http.capacity && Math.min(http.capacity, MAX_HOLDERS)
  const forRedis = common(http) as PermitsPlace['forRedis']
  return { storage, name, keyPrefix, capacity, maxWaiters, forRedis, ...(isAlone && { insight }) }
}

/** Options of a `CallLimiter` among those of HTTP adapters. */
function common(http: AnyHttpOptions): CallOptions {
  const found = Object.entries(http).filter(([name]) => OF_MESSAGES.includes(name))
  const { onError, onStoreError } = http
  const policy = typeof onError === 'string' ? onError : onStoreError
  return { ...Object.fromEntries(found), ...(policy && { onError: policy }) } as CallOptions
}

/** Options that say more about one of others: without any of those they would do nothing. */
const ABOUT: readonly (readonly [options: readonly string[], others: readonly string[]])[] = [
  [
    ['overflow', 'onLimit'],
    ['messages', 'bytes', 'maxMessageBytes'],
  ],
  [
    ['per', 'messageKey'],
    ['messages', 'bytes'],
  ],
  [['burst', 'blockFor', 'policy'], ['connections']],
  [['algorithm'], ['connections', 'messages', 'bytes']],
]

/** @throws TypeError for an option that would do nothing */
function checkUse(given: object): void {
  const has = (name: string): boolean => (given as Record<string, unknown>)[name] !== undefined
  for (const [options, others] of ABOUT) {
    const idle = others.some(has) ? undefined : options.find(has)
    if (idle === undefined) continue
    const accepted = `given together with ${others.join(' or ')}, or left out`
    const value = (given as Record<string, unknown>)[idle]
    throw validate.invalid(TypeError, 'INVALID_OPTION', idle, accepted, value)
  }
}

/** `messages: undefined` is a setting that is missing: the server would have no limit without anyone noticing. */
function checkPurpose(given: SocketLimitsOptions): void {
  for (const name of ['connections', 'concurrent', 'messages', 'bytes'] as const) {
    if (!Object.hasOwn(given, name) || given[name] !== undefined) continue
    throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'a limit, or left out', undefined)
  }
  const purposes = ['connections', 'concurrent', 'messages', 'bytes', 'maxMessageBytes', 'shield']
  if (purposes.some((name) => Object.hasOwn(given, name))) return
  const accepted = 'given, or concurrent, messages, bytes, maxMessageBytes or shield in its place'
  throw validate.invalid(TypeError, 'INVALID_OPTION', 'connections', accepted, undefined)
}

/** What requests are counted by, of a handshake whose client is known already. */
export function knownKey(keys: WeakMap<object, string>): KeyFunction<object> {
  return (request) => keys.get(request)
}
