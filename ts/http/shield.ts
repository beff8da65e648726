import type { Guard } from '../shield/guard.ts'
import type { AnyHttpShield as HttpShield } from '../shield/http-shield.ts'
import type { ShieldOptions } from '../shield/options.ts'
import { invalid, withCode } from '../validate.ts'
import type { HttpAdapter } from './adapter.ts'
import type { Warnings } from './events.ts'
import type { AnyHttpOptions } from './options.ts'

/*
 * The only way from the HTTP core to the shield, which stands above it. It is loaded on demand: a program without
 * a shield never loads it, and no request asks whether there is one.
 */

export type { RequestVerdict } from '../shield/verdict.ts'
export type { HttpShield }

/** Option `shield`: options of a shield, or a guard that several servers share. */
export type ShieldInput<Request> = ShieldOptions<Request> | Guard

/**
 * Opens the shield that the options ask for.
 *
 * @returns `undefined` if they ask for none, or for one that is off and have limits
 * @throws TypeError or RangeError that names the option, its value and what is accepted
 */
export function openShield<Request, Response>(
  options: AnyHttpOptions,
  adapter: HttpAdapter<Request, Response>,
  warnings: Warnings,
): HttpShield | undefined {
  // Without a prototype: a polluted one must not set an option.
  const own: AnyHttpOptions = Object.assign(Object.create(null), options)
  const { shield } = own
  if (shield === undefined) return undefined
  if (typeof shield !== 'object' || shield === null || Array.isArray(shield)) {
    const accepted = 'options of a shield, or a guard that shield() has made'
    throw invalid(TypeError, 'INVALID_OPTION', 'shield', accepted, shield)
  }
  const loaded = require('../shield/http-shield.js') as typeof import('../shield/http-shield.ts')
  // To the shield, requests and responses are objects that it passes on.
  return loaded.openHttpShield(
    shield,
    own,
    adapter as HttpAdapter<never, never> as HttpAdapter,
    warnings,
  )
}

/**
 * The options of limiters that one shield stands before: they have none of their own.
 *
 * @throws TypeError for options of a route or of `limit(...)` that name another
 */
export function withoutShield<Options extends object>(options: Options): Options {
  if (!Object.hasOwn(options, 'shield')) return options
  const { shield: _, ...rest } = options as Options & { shield?: unknown }
  return rest as Options
}

/** @throws TypeError if these options, of a route or of `limit(...)`, have a shield */
export function refuseShield(given: unknown): void {
  const isOptions = typeof given === 'object' && given !== null
  if (!isOptions || (given as { shield?: unknown }).shield === undefined) return
  const message =
    'shield must be an option of the whole server: one shield stands before all its limits'
  throw withCode(new TypeError(message), 'INVALID_OPTION')
}

/** What `make` makes behind a shield, which is closed if that fails. */
export function orClose<T>(shield: HttpShield | undefined, make: () => T): T {
  try {
    return make()
  } catch (error) {
    shield?.close()
    throw error
  }
}
