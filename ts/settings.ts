import { type AlgorithmInput, readAlgorithm } from './options.ts'
import { isRedisStorage } from './storage-url.ts'
import { invalid, withCode } from './validate.ts'

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

/** Names of the {@link Settings}. */
export const SETTINGS: readonly string[] = [
  'RATELIMIT_STORAGE_URL',
  'RATELIMIT_STRATEGY',
  'RATELIMIT_HEADERS_ENABLED',
  'RATELIMIT_KEY_PREFIX',
]

const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
])

/** The options that {@link Settings} stand for. */
interface SettingOptions {
  readonly storage?: unknown
  readonly algorithm?: unknown
  readonly headers?: unknown
  readonly keyPrefix?: unknown
}

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
  const given = new Map<string, unknown>(Object.entries(options))
  const settings = new Map([...readEnvironment(environment), ...pick(given)])
  const storage = settings.get('RATELIMIT_STORAGE_URL')
  // Checked here, where the message can name the setting.
  if (storage !== undefined && given.get('storage') === undefined) {
    isRedisStorage(storage, 'RATELIMIT_STORAGE_URL')
  }
  for (const name of SETTINGS) given.delete(name)
  for (const [name, value] of Object.entries(toOptions(settings))) {
    if (given.get(name) === undefined && value !== undefined) given.set(name, value)
  }
  return Object.assign(Object.create(null), Object.fromEntries(given))
}

/** An empty variable counts as not set, as in shells and compose files. */
function readEnvironment(environment: NodeJS.ProcessEnv): [string, unknown][] {
  const names = Object.keys(environment).filter((name) => name.startsWith('RATELIMIT_'))
  const unknown = names.find((name) => !SETTINGS.includes(name))
  if (unknown !== undefined) {
    const message = `unknown environment variable ${unknown}; known are ${SETTINGS.join(', ')}`
    throw withCode(new RangeError(message), 'INVALID_OPTION')
  }
  const set = names.filter((name) => environment[name] !== '')
  return set.map((name) => [name, environment[name]])
}

function pick(given: ReadonlyMap<string, unknown>): [string, unknown][] {
  const found = SETTINGS.filter((name) => given.get(name) !== undefined)
  return found.map((name) => [name, given.get(name)])
}

function toOptions(settings: ReadonlyMap<string, unknown>): SettingOptions {
  const enabled = settings.get('RATELIMIT_HEADERS_ENABLED')
  const strategy = settings.get('RATELIMIT_STRATEGY')
  return {
    storage: settings.get('RATELIMIT_STORAGE_URL'),
    algorithm: strategy === undefined ? undefined : readAlgorithm(strategy, 'RATELIMIT_STRATEGY'),
    headers: enabled === undefined ? undefined : readSwitch(enabled) ? 'legacy' : false,
    keyPrefix: readPrefix(settings.get('RATELIMIT_KEY_PREFIX')),
  }
}

function readPrefix(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw invalid(TypeError, 'INVALID_OPTION', 'RATELIMIT_KEY_PREFIX', 'a string', value)
}

function readSwitch(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  const found = typeof value === 'string' ? SWITCHES.get(value.trim().toLowerCase()) : undefined
  if (found !== undefined) return found
  const accepted = `one of ${[...SWITCHES.keys()].join(', ')}`
  throw invalid(RangeError, 'INVALID_OPTION', 'RATELIMIT_HEADERS_ENABLED', accepted, value)
}
