import type { HttpOptions } from '../http/options.ts'
import { check } from './check.ts'
import { ConfigError, IN_PROGRAM, type Tree, treeOf } from './tree.ts'

/** The options of a limiter in a configuration. */
export type LimiterObject<Request = never, Response = never> = Omit<
  HttpOptions<Request, Response>,
  'config' | 'shield' | `RATELIMIT_${string}`
>

/** A configuration as a program writes it: the adapters' options, with several limiters and their routes. */
export interface ConfigObject<Request = never, Response = never>
  extends Omit<HttpOptions<Request, Response>, 'config' | `RATELIMIT_${string}`> {
  /** Accepted for editors, and not read. */
  readonly $schema?: string | undefined
  /** Limiters by name. Every other option holds for all of them. */
  readonly limiters?: Readonly<Record<string, LimiterObject<Request, Response>>> | undefined
  /** Which limiter counts a request: `{ 'GET /search': 'search', '*': 'api' }`; `false` for none. */
  readonly routes?: Readonly<Record<string, string | false>> | undefined
}

/**
 * A configuration in a program: typed and checked, with functions where an option takes one.
 *
 * ```ts
 * const config = defineConfig({ limiters: { api: { limits: '100/minute' } } })
 * app.use(rateThrottle({ config }))
 * ```
 *
 * @returns the same object
 * @throws ConfigError with all that is wrong
 */
export function defineConfig<Request = never, Response = never>(
  config: ConfigObject<Request, Response>,
): ConfigObject<Request, Response> {
  checkObject(config)
  return config
}

/** @throws ConfigError */
export function checkObject(config: object): Tree {
  const tree = treeOf(config)
  const checked = check(tree, { file: IN_PROGRAM, text: '' })
  if (Array.isArray(checked)) throw new ConfigError(checked)
  return tree
}
