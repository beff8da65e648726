import { hashKey, MAX_PLAIN_KEY_LENGTH } from '../key-hash.ts'
import { REMOTE_OPTIONS, type RemoteOptions, readRemoteSettings } from '../remote/options.ts'
import { invalid, text } from '../validate.ts'

/*
 * The names of states in Redis, and the option that begins them. Nothing here loads what talks to Redis: adapters
 * check these options wherever the counters live.
 */

/** What ends a hash tag, what escaping itself needs, and what is not printable text. */
const UNSAFE = /[%{}\p{Cc}\p{Z}]|\p{Surrogate}/gu
const PLAIN = /^[\w.:@/-]*$/
const MAX_PREFIX_LENGTH = 256
const SLOTS = 16_384

/** Options of a limiter whose counters live in Redis, except where Redis is. */
export interface RedisOptions extends RemoteOptions {
  /** Begins the name of every key in Redis: at most 256 characters, no braces. Default: `'ratethrottle:'`. */
  readonly keyPrefix?: string | undefined
}

/** Names of the options that a limiter in Redis has beside those of every limiter, except where Redis is. */
export const REDIS_OPTIONS: readonly string[] = ['keyPrefix', ...REMOTE_OPTIONS]

/**
 * Checks the options that {@link RedisOptions} add to those of every limiter.
 *
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function checkRedisOptions(options: RedisOptions): void {
  readKeyPrefix(options.keyPrefix)
  readRemoteSettings(options)
}

/**
 * Names the state of a key in Redis: `<prefix><name>:<policy>:{<key>}`.
 *
 * Different keys have different names, lone surrogates included. The only braces are those around the key, so
 * Redis Cluster puts everything that belongs to a key into one slot.
 *
 * @param prefix as {@link readKeyPrefix} returns it
 */
export function namer(prefix: string, name: string, policyHash: string): (key: string) => string {
  const before = `${prefix}${groupOf(name, policyHash)}:{`
  return (key) => `${before}${tagOf(key)}}`
}

/**
 * Names the sets of permits in Redis: `<prefix><name>:permits:{<key>}`. Where there is a limit for all keys together,
 * `<prefix>{<name>:permits}:<key>`, so that Redis Cluster has all of them in one slot, and that of all keys is the same
 * without a key.
 */
export function permitNamer(prefix: string, name: string, hasTotal: boolean): PermitNames {
  const group = groupOf(name, 'permits')
  if (!hasTotal) return { all: undefined, of: namer(prefix, name, 'permits') }
  const all = serverWideName(prefix, group)
  return { all, of: (key) => `${all}:${tagOf(key)}` }
}

/** Names of sets of permits: that of all keys, if there is one, and that of each key. */
interface PermitNames {
  readonly all: string | undefined
  of(key: string): string
}

/** Tells limiters with one prefix apart that do not share their counters. */
export function groupOf(name: string, policyHash: string): string {
  return `${escaped(name)}:${policyHash}`
}

/** The name of a state that does not belong to one key. */
export function serverWideName(prefix: string, what: string): string {
  return `${prefix}{${what}}`
}

/** A name that no limiter's key has, in the slot of `name`: `ratethrottle:api:…:probe:{user:42}`. */
export function siblingName(name: string, word: string): string {
  const open = name.indexOf('{')
  return open < 0 ? `${name}:${word}` : `${name.slice(0, open)}${word}:{${tagIn(name)}}`
}

/**
 * Checks a `keyPrefix`.
 *
 * @throws TypeError or RangeError with code INVALID_OPTION unless it is a string of at most 256 characters
 * without braces: the first brace of a name decides on its slot
 */
export function readKeyPrefix(value: unknown = 'ratethrottle:'): string {
  const prefix = text(value, 'keyPrefix', 0, MAX_PREFIX_LENGTH)
  if (!/[{}]/.test(prefix)) return prefix
  throw invalid(RangeError, 'INVALID_OPTION', 'keyPrefix', 'a string without { and }', prefix)
}

const CRC16: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

/** The Redis Cluster slot of a name: CRC16/XMODEM of what its braces enclose. */
export function slotOf(name: string): number {
  let crc = 0
  for (const byte of Buffer.from(tagIn(name))) {
    crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ byte] as number)
  }
  return crc % SLOTS
}

/** What the braces of a name enclose, or the whole name. */
function tagIn(name: string): string {
  const open = name.indexOf('{')
  const close = name.indexOf('}', open + 1)
  return open < 0 || close <= open + 1 ? name : name.slice(open + 1, close)
}

function tagOf(key: string): string {
  if (key.length > MAX_PLAIN_KEY_LENGTH) return hashKey(key)
  if (key === '') return '%'
  return PLAIN.test(key) ? key : escaped(key)
}

function escaped(name: string): string {
  return name.replace(UNSAFE, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
