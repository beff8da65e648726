import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { ConfigOpener } from '../http/config.ts'
import { readDuration } from '../limit/parse.ts'
import { withTimeout } from '../limiter.ts'
import { isRemote } from '../storage-url.ts'
import { printable } from '../validate.ts'
import type { CheckContext, Checked } from './check.ts'
import { type Environment, withoutValues } from './interpolate.ts'
import type { Options } from './options.ts'
import type { PlainLimiter } from './plain.ts'
import type { Retired, Retiring } from './retired.ts'
import { type Home, LimiterFailure, type Opened, type Serving } from './serving.ts'
import { ConfigError, type ConfigProblem, IN_PROGRAM, Problems, type Tree } from './tree.ts'

/** What a source says, or what is wrong with it. */
export type Content = Readable | readonly ConfigProblem[]

/** The text of a source that can be read. */
export interface Readable {
  readonly tree: Tree
  readonly text: string
}

/** An adapter that serves a configuration. */
export interface Attachment {
  /** Options of the program, which hold for all limiters unless the file says otherwise. */
  readonly base: Options
  readonly opener: ConfigOpener
}

/** One version of a configuration, with all that it has opened. */
export interface Version {
  readonly environment: CheckContext['environment']
  readonly checked: Checked
  readonly servings: Map<Attachment, Serving>
  readonly plain: Map<string, Opened<PlainLimiter>>
  /** In milliseconds since 1970. */
  readonly loadedAt: number
}

/** A place for the counters of one configuration, in all of its versions. */
export function newHome(): Home & { keep(names: readonly string[]): void } {
  const owners = new Map<string, symbol>()
  return {
    // Counters of one name are common to all threads of the process.
    id: randomUUID().slice(0, 13),
    owner: (name) => {
      const known = owners.get(name) ?? Symbol('ratethrottle.limiter')
      owners.set(name, known)
      return known
    },
    keep: (names) => {
      for (const name of owners.keys()) if (!names.includes(name)) owners.delete(name)
    },
  }
}

/**
 * Refuses a version that takes away what the program goes on to hold.
 *
 * @param asked names of limiters that it holds
 * @throws ConfigError
 */
export function refuseLosses(
  { limiters, insight }: Checked,
  live: Checked,
  asked: Iterable<string>,
  file: string = IN_PROGRAM,
): void {
  const problems = new Problems(file, '')
  for (const name of asked) {
    if (limiters.has(name)) continue
    const shown = printable(name)
    const message = `limiters must have ${shown}: the program uses config.limiter(${shown})`
    problems.add(-1, `limiters.${name}`, message)
  }
  if (!isDeepStrictEqual(insight, live.insight)) {
    const message = 'insight must stay as it is while the server runs: start it again to change it'
    problems.add(-1, 'insight', message)
  }
  if (problems.found.length > 0) throw new ConfigError(problems.found)
}

/** How long a reload waits for a store that no limiter has asked before. */
const MAX_STORE_WAIT_MS = 5_000

/**
 * A store that does not answer, and that no limiter has asked before, is likely a mistake of the file.
 *
 * @throws LimiterFailure
 */
export async function askNewStores(next: Version, live: Version): Promise<void> {
  const storages = [...live.checked.limiters.values()].map((options) => options.storage)
  const known = new Set(storages)
  const served = [...next.servings.values()].flatMap(({ limiters }) => [...limiters])
  for (const [name, { options, limiter }] of [...served, ...next.plain]) {
    if (!isRemote(options.storage) || known.has(options.storage)) continue
    const asked = withTimeout(limiter.ready(), MAX_STORE_WAIT_MS, 'the store')
    const status = await asked.catch(() => undefined)
    if (status?.available === true) continue
    const reason = status?.reason ?? 'timeout'
    throw new LimiterFailure(name, new Error(`its storage does not answer (${reason})`))
  }
}

/** Has what a version no longer needs closed after its last call. */
export function retire(live: Version, next: Version, retired: Retired): void {
  for (const [attachment, { limiters, shield }] of live.servings) {
    const kept = next.servings.get(attachment)
    for (const [name, { limiter, options }] of limiters) {
      if (kept?.limiters.get(name)?.limiter !== limiter) retired.add(limiter, longestOf(options))
    }
    if (shield !== undefined && shield !== kept?.shield) retired.add(closing(shield))
  }
  for (const [name, { limiter }] of live.plain) {
    if (next.plain.get(name)?.limiter !== limiter) retired.add(limiter)
  }
}

/** How long a request may take until its limiter is not needed any more, in milliseconds. */
function longestOf({ outcomeTimeoutMs = 0, slowDown = 0 }: Options): number {
  const delayed = slowDown === 0 ? 0 : readDuration(slowDown, 'slowDown')
  return Number(outcomeTimeoutMs) + delayed
}

function closing(one: { close(): void }): Retiring {
  return { pending: 0, close: () => one.close() }
}

/** Closes what a version has opened and another has not. */
export function closeAll(version: Version, but: Version | undefined): void {
  for (const [attachment, serving] of version.servings) {
    closeServing(serving, but?.servings.get(attachment))
  }
  for (const [name, { limiter }] of version.plain) {
    if (but?.plain.get(name)?.limiter !== limiter) limiter.close()
  }
}

export function closeServing({ limiters, shield }: Serving, but: Serving | undefined): void {
  for (const [name, { limiter }] of limiters) {
    if (but?.limiters.get(name)?.limiter !== limiter) limiter.close()
  }
  if (shield !== but?.shield) shield?.close()
}

/** The limiters that two versions do not have in common, by name. */
export function changedBetween(live: Checked, next: Checked): readonly string[] {
  const names = new Set([...live.limiters.keys(), ...next.limiters.keys()])
  const isOther = (name: string): boolean =>
    !isDeepStrictEqual(live.limiters.get(name), next.limiters.get(name))
  return [...names].filter(isOther)
}

/** What went wrong when a configuration that can be read was opened. */
export function openProblem(error: unknown, file: string, environment: Environment): ConfigProblem {
  const path = error instanceof LimiterFailure ? `limiters.${error.limiter}` : ''
  const said = error instanceof Error ? error.message : 'it failed'
  const what = path === '' ? 'the configuration' : path
  // Whatever the message is about: no value of the environment that is long enough for a secret.
  const safe = withoutValues(said, Object.keys(environment), environment)
  return new Problems(file, '').at(-1, path, `${what} can't be opened: ${safe}`)
}
