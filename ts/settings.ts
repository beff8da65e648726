import { type AlgorithmInput, readAlgorithm } from './options.ts'
import { isRedisStorage } from './storage-url.ts'
import { invalid, type Reader, withCode } from './validate.ts'

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
interface SettingOptions {
  readonly storage?: unknown
  readonly algorithm?: unknown
  readonly headers?: unknown
  readonly keyPrefix?: unknown
}

const STORAGE = 'RATELIMIT_STORAGE_URL'
const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
])

/** Each setting with the option it stands for, and its reader. */
const READERS: Readonly<Record<keyof Settings, readonly [keyof SettingOptions, Reader<unknown>]>> =
  {
    [STORAGE]: ['storage', (value) => value],
    RATELIMIT_STRATEGY: ['algorithm', readAlgorithm],
    RATELIMIT_HEADERS_ENABLED: ['headers', (value, name) => isOn(value, name) && 'legacy'],
    RATELIMIT_KEY_PREFIX: ['keyPrefix', readString],
  }

/** Names of the {@link Settings}. */
export const SETTINGS: readonly string[] = Object.keys(READERS)

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
  for (const [name, [option, read]] of Object.entries(READERS)) {
    // An empty variable counts as not set, as in shells and compose files.
    const { [name]: setting = environment[name] || undefined } = found
    delete found[name]
    if (setting === undefined) continue
    const value = read(setting, name)
    if (found[option] !== undefined) continue
    // Checked here, where the message can name the setting.
    if (name === STORAGE) isRedisStorage(value, name)
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
  if (typeof value === 'boolean') return value
  const found = typeof value === 'string' ? SWITCHES.get(value.trim().toLowerCase()) : undefined
  if (found !== undefined) return found
  throw invalid(
    RangeError,
    'INVALID_OPTION',
    name,
    `one of ${[...SWITCHES.keys()].join(', ')}`,
    value,
  )
}
