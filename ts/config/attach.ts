import type { ConfigOpener } from '../http/config.ts'
import { besideConfig } from '../http/lasting.ts'

import type { HttpShield } from '../http/shield.ts'
import { isThenable } from '../limiter.ts'
import { invalid } from '../validate.ts'
import { Config } from './config.ts'
import { openConfig } from './load.ts'
import type { Options } from './options.ts'
import { RoutedLimiter } from './routed.ts'
import type { Serving } from './serving.ts'
import { OF_LIMITS } from './table.ts'
import type { Attachment } from './version.ts'

/** What an adapter serves: a limiter and a shield that follow the file. */
export interface AttachedConfig {
  readonly limiter: RoutedLimiter
  readonly shield: HttpShield
  /** Ends both, and a configuration that belongs to this adapter alone. */
  close(): void
}

/**
 * Has an adapter serve a configuration.
 *
 * @param given what `loadConfig` gave, or an object as `defineConfig` takes it
 * @param base the adapter's other options
 * @throws ConfigError, TypeError or RangeError
 */
export function attach(given: object, base: object, opener: ConfigOpener): AttachedConfig {
  if (isThenable(given)) {
    const accepted = 'what loadConfig resolved to: write await loadConfig(...)'
    throw invalid(TypeError, 'INVALID_OPTION', 'config', accepted, given)
  }
  for (const name of [...Object.keys(OF_LIMITS), 'shield']) {
    if ((base as Options)[name] !== undefined) throw besideConfig(name)
  }
  const isOwn = !(given instanceof Config)
  const config = given instanceof Config ? given : openConfig(given)
  if (config.insight !== undefined && (base as Options).insight !== undefined) {
    throw besideConfig('insight')
  }
  const attachment: Attachment = { base: { ...base }, opener }
  let current: () => Serving | undefined
  try {
    current = config.attach(attachment)
  } catch (error) {
    if (isOwn) config.close()
    throw error
  }
  const detach = (): void => {
    config.detach(attachment)
    if (isOwn) config.close()
  }
  const limiter = new RoutedLimiter(current, opener, detach)
  return { limiter, shield: followingShield(current, limiter), close: detach }
}

/** The shield that is live. Without one it lets pass. */
function followingShield(current: () => Serving | undefined, limiter: RoutedLimiter): HttpShield {
  const live = (): HttpShield | undefined => current()?.shield
  return {
    isOn: true,
    decide: (request, response) => live()?.decide(request, response),
    stand: (request, response, next, handOn, pass) => {
      const shield = live()
      if (shield === undefined) pass()
      else shield.stand(request, response, next, handOn, pass, (of) => limiter.of(of))
    },
    count: (refusal, request) => live()?.count(refusal, request, limiter.of(request)),
    prepare: (refusal, request, response) => live()?.prepare(refusal, request, response),
    headersOf: (refusal, request) => live()?.headersOf(refusal, request) ?? {},
    release: () => live()?.release(),
    // The configuration closes it.
    close: () => {},
  }
}
