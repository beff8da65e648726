import { hashText } from './key-hash.ts'
import type { Limiter } from './limiter.ts'
import { type AlgorithmInput, readAlgorithm } from './options.ts'
import type { RedisClient, RedisStorage } from './redis/index.ts'
import { isRedisScheme } from './redis/url.ts'
import type { Store } from './remote/store.ts'
import { invalid, type Reader, withCode } from './validate.ts'

// For layers that know of Redis only through this file.
export { readUrl as readRedisUrl } from './redis/url.ts'

type Server = 'redis' | 'valkey'

/** A URL of Redis or Valkey: one server, Sentinel, a cluster, each also over TLS, or a Unix socket. */
export type RedisUrl =
  | `${Server}${'' | 's'}${'' | '+sentinel' | '+cluster'}:${string}`
  | `${Server}+unix:${string}`

const STORAGE =
  '"memory:", "shared:" and a name, a URL with redis:, rediss:, redis+sentinel:, redis+cluster: or ' +
  'redis+unix:, or valkey: in place of redis:, ' +
  'the storage of a RedisLimiter, a client of ioredis, ' +
  'a store with get and compareAndSet, or a limiter such as a RateLimiter'
const MAX_SHARED_NAME_LENGTH = 80
const MAX_NAME_LENGTH = 128

/** What a limiter has that is passed as a storage. */
const LIMITER_METHODS = 'check peek take refund block reset wait delay standings close'.split(' ')

/** Whether it is a {@link Store}. */
export function isStore(storage: unknown): storage is Store {
  return hasMethods(storage, ['get', 'compareAndSet'])
}

/** Whether it is a limiter, which has limits of its own. */
export function isLimiter(storage: unknown): storage is Limiter {
  return hasMethods(storage, LIMITER_METHODS) && Array.isArray((storage as Limiter).limits)
}

/** Whether processes on other hosts may share the state. */
export function isRemote(storage: unknown): boolean {
  return isRedisStorage(storage) || isStore(storage)
}

/**
 * Whether the state lives in Redis.
 *
 * @param name of the option or setting, for the message
 * @throws TypeError or RangeError unless it is a storage. A URL is never shown: it may hold a password.
 */
export function isRedisStorage(
  storage: unknown,
  name = 'storage',
): storage is RedisUrl | RedisStorage | RedisClient {
  if (storage === undefined) return false
  // A client of ioredis, or a `RedisStorage`: their modules are loaded for those who use them only.
  if (hasMethods(storage, ['duplicate', 'evalsha'])) return true
  if (hasMethods(storage, ['acquire', 'release'])) return true
  if (isStore(storage) || isLimiter(storage)) return false
  if (typeof storage !== 'string')
    throw invalid(TypeError, 'INVALID_OPTION', name, STORAGE, storage)
  const [scheme, rest] = splitScheme(storage)
  if (isRedisScheme(scheme)) return true
  if (scheme === 'shared') return checkSharedName(rest, name)
  if (scheme !== 'memory') {
    const message = `${name} must be ${STORAGE}, got ${withoutSecrets(scheme, rest)}`
    throw withCode(new RangeError(message), 'INVALID_OPTION')
  }
  if (rest === '' || rest === '//') return false
  throw invalid(RangeError, 'INVALID_OPTION', name, STORAGE, 'memory:...')
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** The scheme of a URL; nothing of any other text, which may be a password that was meant for another setting. */
function withoutSecrets(scheme: string, rest: string): string {
  const isUrl = rest.startsWith('//') && /^[a-z][a-z+.-]{0,15}$/.test(scheme)
  return isUrl
    ? `"${scheme}:..."`
    : 'a text without any of these (it is not shown, as it may hold a password)'
}

/** The name in `shared:name`; undefined where processes do not share the state. */
export function sharedName(storage: unknown): string | undefined {
  if (typeof storage !== 'string') return undefined
  const [scheme, rest] = splitScheme(storage)
  return scheme === 'shared' ? withoutSlashes(rest) : undefined
}

/** The name of one of several limiters in one shared storage. */
export function qualifiedName(shared: string, name: string | undefined): string {
  if (name === undefined) return shared
  const whole = `${shared} ${name}`
  return whole.length <= MAX_NAME_LENGTH ? whole : `${shared} ${hashText(name)}`
}

const MAX_PLACE_LENGTH = 100
let unnamedLimiters = 0

/** The name of a limiter that belongs to one place in the program, such as a route: the same in each process. */
export function limiterNameOf(place: string): string {
  const fits = place.length <= MAX_PLACE_LENGTH && place.isWellFormed()
  return fits ? place : hashText(place)
}

/**
 * The name of a limiter that has none. The processes of a program give the same names if they make their limiters
 * in the same order; a `scope` or a `name` does not depend on that.
 */
export function nextLimiterName(): string {
  unnamedLimiters++
  return `limiter ${unnamedLimiters}`
}

function checkSharedName(rest: string, name: string): false {
  const shared = withoutSlashes(rest)
  if (shared !== '' && shared.length <= MAX_SHARED_NAME_LENGTH && shared.isWellFormed())
    return false
  const accepted = `"shared:" and a name of 1 to ${MAX_SHARED_NAME_LENGTH} characters, such as "shared:api"`
  const shown = shared === '' ? 'shared:' : 'shared:...'
  throw invalid(RangeError, 'INVALID_OPTION', name, accepted, shown)
}

/** Without the slashes that URLs have behind the scheme. */
function withoutSlashes(rest: string): string {
  return rest.startsWith('//') ? rest.slice(2) : rest
}

function splitScheme(storage: string): [scheme: string, rest: string] {
  const [scheme = '', ...rest] = storage.split(':')
  return [scheme.toLowerCase(), rest.join(':')]
}

/** The settings of RateThrottle's Flask integration; also read from the environment. */
export interface Settings {
  /** Where the counters live, as option `storage`. */
  readonly RATELIMIT_STORAGE_URL?: string | undefined
  /** How requests are counted, as option `algorithm`: `sliding_window`, `token_bucket` and so on. */
  readonly RATELIMIT_STRATEGY?: AlgorithmInput | undefined
  /** Whether responses carry the three headers. */
  readonly RATELIMIT_HEADERS_ENABLED?: boolean | 'true' | 'false' | undefined
  /** Begins all keys in a store that other programs use too, as option `keyPrefix`. */
  readonly RATELIMIT_KEY_PREFIX?: string | undefined
}

/** The options that {@link Settings} stand for. */
type SettingOption = 'storage' | 'algorithm' | 'headers' | 'keyPrefix'
type SettingOptions = { readonly [Option in SettingOption]?: unknown }

const STORAGE_URL = 'RATELIMIT_STORAGE_URL'
const ON: readonly unknown[] = ['true', '1', 'yes', 'on']
const OFF: readonly unknown[] = ['false', '0', 'no', 'off']

/** Each setting with the option it stands for, and its reader. */
const SETTING_READERS: Readonly<Record<keyof Settings, readonly [SettingOption, Reader<unknown>]>> =
  {
    [STORAGE_URL]: ['storage', (value) => value],
    RATELIMIT_STRATEGY: ['algorithm', readAlgorithm],
    RATELIMIT_HEADERS_ENABLED: ['headers', (value, name) => isOn(value, name) && 'legacy'],
    RATELIMIT_KEY_PREFIX: ['keyPrefix', readString],
  }

/** Names of the {@link Settings}. */
export const SETTINGS: readonly string[] = Object.keys(SETTING_READERS)

/**
 * The options, with `RATELIMIT_*` settings replaced by the options they stand for. An option takes precedence
 * over a setting among the options, and that over the environment.
 *
 * @param environment where settings are read besides. Default: that of the process
 * @throws TypeError or RangeError, naming the setting that is unknown or impossible
 */
export function withSettings<T extends object>(
  options: T,
  environment: NodeJS.ProcessEnv = process.env,
): Omit<T, keyof Settings> & SettingOptions {
  checkEnvironment(environment)
  const found: Record<string, unknown> = Object.assign(Object.create(null), options)
  for (const [name, [option, read]] of Object.entries(SETTING_READERS)) {
    // An empty variable counts as not set, as in shells and compose files.
    const variable = Object.hasOwn(environment, name) ? environment[name] : undefined
    const { [name]: setting = variable || undefined } = found
    delete found[name]
    if (setting === undefined) continue
    const value = read(setting, name)
    if (found[option] !== undefined) continue
    // Checked here, where the message can name the setting.
    if (name === STORAGE_URL) isRedisStorage(value, name)
    found[option] = value
  }
  return found as Omit<T, keyof Settings> & SettingOptions
}

function checkEnvironment(environment: NodeJS.ProcessEnv): void {
  const names = Object.keys(environment).filter((name) => name.startsWith('RATELIMIT_'))
  const unknown = names.find((name) => !SETTINGS.includes(name))
  if (unknown === undefined) return
  const message = `unknown environment variable ${unknown}; known are ${SETTINGS.join(', ')}`
  throw withCode(new RangeError(message), 'INVALID_OPTION')
}

function readString(value: unknown, name: string): string {
  if (typeof value === 'string') return value
  throw invalid(TypeError, 'INVALID_OPTION', name, 'a string', value)
}

function isOn(value: unknown, name: string): boolean {
  const word = typeof value === 'string' ? value.trim().toLowerCase() : value
  if (word === true || ON.includes(word)) return true
  if (word === false || OFF.includes(word)) return false
  const accepted = `one of ${[...ON, ...OFF].join(', ')}`
  throw invalid(RangeError, 'INVALID_OPTION', name, accepted, value)
}
