import { isDeepStrictEqual } from 'node:util'
import type { ConfigOpener } from '../http/config.ts'
import type { HttpLimiter } from '../http/http-limiter.ts'
import { LASTING, type Lasting } from '../http/lasting.ts'
import type { AnyHttpOptions } from '../http/options.ts'
import type { HttpShield } from '../http/shield.ts'
import { hashText } from '../key-hash.ts'
import { isRemote, sharedName } from '../storage-url.ts'
import type { Checked } from './check.ts'
import { Matcher } from './matcher.ts'
import type { Options } from './options.ts'

/** A limiter of one version of a file, with the options that it was opened with. */
export interface Opened<T> {
  readonly options: Options
  readonly limiter: T
}

/** What one adapter serves under one version of a file. */
export interface Serving {
  readonly checked: Checked
  readonly limiters: ReadonlyMap<string, Opened<HttpLimiter>>
  /** If all requests have the same limiter: no route has to be found. */
  readonly only: HttpLimiter | undefined
  readonly matcher: Matcher
  readonly shield: HttpShield | undefined
}

/** What distinguishes one configuration from the others of this process. */
export interface Home {
  readonly id: string
  /** Who charges for a limiter, in all of its versions: a request is counted once. */
  owner(name: string): symbol
}

/**
 * Opens what an adapter serves under a version. What has not changed is taken over from the version before, so that
 * a queue before a limiter goes on as it was.
 *
 * @param current what the adapter serves now
 * @throws whatever a limiter or the shield throws; what was opened until then is closed
 */
export function openServing(
  checked: Checked,
  { open, shield, reader }: ConfigOpener,
  current: () => Serving | undefined,
  home: Home,
): Serving {
  const before = current()
  const fresh: { close(): void }[] = []
  try {
    const limiters = openEach(checked, before?.limiters, (name, options) => {
      // A limiter may outlast the routes that it was opened with.
      const route = (request: object): string | undefined =>
        current()?.matcher.patternOf(reader.method(request), reader.target(request), name)
      const limiter = open(lastingOptions(name, options, home, route) as AnyHttpOptions)
      fresh.push(limiter)
      return limiter
    })
    const guard = shieldOf(checked, before, shield)
    if (guard !== undefined && guard !== before?.shield) fresh.push(guard)
    const { routes, rest } = checked
    const only = routes.length === 0 && rest !== false ? limiters.get(rest)?.limiter : undefined
    return { checked, limiters, only, matcher: new Matcher(routes, rest), shield: guard }
  } catch (error) {
    for (const one of fresh) one.close()
    throw error
  }
}

/**
 * The limiters of a version: those of the version before where their options are the same.
 *
 * @throws what `open` throws; what was opened until then is closed
 */
export function openEach<T extends { close(): void }>(
  { limiters }: Checked,
  before: ReadonlyMap<string, Opened<T>> | undefined,
  open: (name: string, options: Options) => T,
): ReadonlyMap<string, Opened<T>> {
  const opened = new Map<string, Opened<T>>()
  const fresh: T[] = []
  try {
    for (const [name, options] of limiters) {
      const known = before?.get(name)
      if (known !== undefined && isDeepStrictEqual(known.options, options)) {
        opened.set(name, known)
        continue
      }
      const limiter = atLimiter(name, () => open(name, options))
      fresh.push(limiter)
      opened.set(name, { options, limiter })
    }
  } catch (error) {
    for (const one of fresh) one.close()
    throw error
  }
  return opened
}

/** An error of a limiter's counters, by the name of the limiter. */
export class LimiterFailure extends Error {
  readonly limiter: string

  constructor(limiter: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.limiter = limiter
  }
}

function atLimiter<T>(name: string, open: () => T): T {
  try {
    return open()
  } catch (error) {
    throw new LimiterFailure(name, error)
  }
}

function shieldOf(
  checked: Checked,
  before: Serving | undefined,
  open: ConfigOpener['shield'],
): HttpShield | undefined {
  const settings = shieldSettings(checked)
  if (settings === undefined) return undefined
  const isSame = before !== undefined && isDeepStrictEqual(shieldSettings(before.checked), settings)
  return isSame ? before.shield : open(settings as AnyHttpOptions)
}

/** The shield's options, and those of the adapter that hold for it. */
function shieldSettings({ shield, common }: Checked): Options | undefined {
  if (shield === undefined) return undefined
  const { trust, allow, deny, dryRun, onDeny, onError, insight } = common
  const given = Object.entries({ trust, allow, deny, dryRun, onDeny, onError, insight })
  return Object.fromEntries([
    ...given.filter(([, value]) => value !== undefined),
    ['shield', shield],
  ])
}

/**
 * The options of a limiter whose counters outlast its limits: with a name that its next version has too.
 *
 * Counters of one name on this host have one algorithm, one block and one capacity. So these are in the name: a
 * version that changes them begins with new counters, where otherwise it could not be opened beside the old one.
 */
export function lastingOptions(
  name: string,
  options: Options,
  home: Home,
  route?: Lasting['route'],
): Options {
  const { scope, name: own, ...rest } = options
  const { storage, algorithm, blockFor, capacity, clock } = options
  const isFar = isRemote(storage)
  const isAlone =
    !isFar && sharedName(storage) === undefined && scope === undefined && own === undefined
  const base = scope === undefined ? String(own ?? name) : `scope:${scope}`
  const kept = JSON.stringify([algorithm, blockFor, capacity, clock === undefined])
  const counters = isFar ? base : `${base} ${hashText(kept).slice(0, 8)}`
  const owner = scope === undefined ? home.owner(name) : String(scope)
  return {
    ...rest,
    name: isAlone ? `${home.id} ${counters}` : counters,
    [LASTING]: { owner, shown: name, route },
  } as Options
}
