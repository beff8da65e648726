import type { AttachedConfig } from '../config/attach.ts'
import type { Config } from '../config/config.ts'
import type { ConfigObject } from '../config/define.ts'
import type { HttpAdapter } from './adapter.ts'
import type { HttpLimiter } from './http-limiter.ts'
import type { AnyHttpOptions } from './options.ts'
import type { HttpShield } from './shield.ts'

/*
 * The only way from the HTTP core and the adapters to configuration files, which stand above the core. They are
 * loaded on demand: a program without one never loads what reads them.
 */

/** Option `config`: what `loadConfig` or `defineConfig` gave. */
export type ConfigInput = Config | ConfigObject<never, never>

/** What adapters ask of a limiter: one with fixed options, or those of a file, which may change. */
export type RequestLimiter = Pick<HttpLimiter, Exclude<keyof HttpLimiter, 'pending'>>

/** How an adapter opens what a file says. */
export interface ConfigOpener {
  /** How requests say what they are. */
  readonly reader: Pick<HttpAdapter, 'method' | 'target'>
  /** Whether it asks for the headers of a request again once its handler has run. */
  readonly looksBack?: boolean
  open(options: AnyHttpOptions): HttpLimiter
  shield(options: AnyHttpOptions): HttpShield | undefined
}

/** The limiter and the shield of the adapter's option `config`, if it is given. Both follow the file's reloads. */
export function openConfigured(
  options: AnyHttpOptions,
  opener: ConfigOpener,
): AttachedConfig | undefined {
  const { config, ...base } = options
  if (config === undefined) return undefined
  const loaded = require('../config/attach.js') as typeof import('../config/attach.ts')
  return loaded.attach(config, base, opener)
}

/** The other options: those of limiters that the program makes beside the file's, if it could. */
export function withoutConfig<Options extends object>(options: Options): Options {
  const { config: _, ...rest } = options as Options & { config?: unknown }
  return rest as Options
}
