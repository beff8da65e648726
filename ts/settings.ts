import { type AlgorithmInput, readAlgorithm } from './options.ts'
import { isRedis } from './storage-url.ts'
import { mustBe } from './validate.ts'

/** RateThrottle's settings, as its Flask page has them; also read from the environment. */
export interface Settings {
  /** Where the counters live, as option `storage`. */
  readonly RATELIMIT_STORAGE_URL?: string | undefined
  /** How requests are counted, as option `algorithm`: `sliding_window`, `token_bucket` and so on. */
  readonly RATELIMIT_STRATEGY?: AlgorithmInput | undefined
  /** Whether responses carry the three headers. */
  readonly RATELIMIT_HEADERS_ENABLED?: boolean | 'true' | 'false' | undefined
  /** In front of all keys of a store that others use too, as option `keyPrefix`. */
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

/** What {@link Settings} say, in the words of the options. */
export interface Configured {
  readonly storage?: unknown
  readonly algorithm?: unknown
  readonly headers?: unknown
  readonly keyPrefix?: unknown
}

/**
 * The options without `RATELIMIT_*` settings in them, these as the options they stand for. What is given
 * as an option goes before a setting among the options, and that before the environment.
 *
 * @param environment where else settings are looked for. Default: that of the process
 * @throws TypeError or RangeError, naming the setting that is unknown or impossible
 */
export function withSettings<T extends object>(
  options: T,
  environment: NodeJS.ProcessEnv = process.env,
): Omit<T, keyof Settings> & Configured {
  const given = new Map<string, unknown>(Object.entries(options))
  const settings = new Map([...readEnvironment(environment), ...pick(given)])
  const storage = settings.get('RATELIMIT_STORAGE_URL')
  // Here, where it is known under which name it was set.
  if (storage !== undefined && given.get('storage') === undefined) {
    isRedis(storage, 'RATELIMIT_STORAGE_URL')
  }
  for (const name of SETTINGS) given.delete(name)
  for (const [name, value] of Object.entries(toOptions(settings))) {
    if (given.get(name) === undefined && value !== undefined) given.set(name, value)
  }
  return Object.assign(Object.create(null), Object.fromEntries(given))
}

/** A variable that is set to nothing counts as not set, as shells and compose files have it. */
function readEnvironment(environment: NodeJS.ProcessEnv): [string, unknown][] {
  const names = Object.keys(environment).filter((name) => name.startsWith('RATELIMIT_'))
  const unknown = names.find((name) => !SETTINGS.includes(name))
  if (unknown !== undefined) {
    throw new RangeError(
      `unknown environment variable ${unknown}; known are ${SETTINGS.join(', ')}`,
    )
  }
  const set = names.filter((name) => environment[name] !== '')
  return set.map((name) => [name, environment[name]])
}

function pick(given: ReadonlyMap<string, unknown>): [string, unknown][] {
  const found = SETTINGS.filter((name) => given.get(name) !== undefined)
  return found.map((name) => [name, given.get(name)])
}

function toOptions(settings: ReadonlyMap<string, unknown>): Configured {
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
  throw new TypeError(mustBe('RATELIMIT_KEY_PREFIX', 'a text', value))
}

function readSwitch(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  const found = typeof value === 'string' ? SWITCHES.get(value.trim().toLowerCase()) : undefined
  if (found !== undefined) return found
  const accepted = `one of ${[...SWITCHES.keys()].join(', ')}`
  throw new RangeError(mustBe('RATELIMIT_HEADERS_ENABLED', accepted, value))
}
