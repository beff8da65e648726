import { addressKey, canonical } from '../client-ip/ip.ts'
import type { Controls, Figures, Report, Series, SeriesUnit } from '../insight/types.ts'
import { MAX_WINDOW_MS } from '../limit/limit.ts'
import type { Limiter } from '../limiter.ts'
import { liveConfigs } from '../live-configs.ts'
import { integer, invalid, oneOf, ownOptions, text, withCode } from '../validate.ts'
import { type About, aboutProcess } from './about.ts'
import { type KeyState, stateOf } from './key-state.ts'
import { MAX_REQUEST } from './lines.ts'

/** Reads the configuration again, and says what came of it. */
export type Reload = () => PromiseLike<object> | object

/** What a control socket answers from. */
export interface Answering {
  readonly view: Figures & Controls
  /** `undefined` where limits do not come from a file. */
  readonly reload: Reload | undefined
  readonly shared: string | undefined
}

/** What a command did to a key under one limiter. */
export interface KeyAction {
  readonly limit: string
  readonly key: string
  readonly done: boolean
  /** Why the limiter could not say. */
  readonly error?: string
}

/** What came of `block`, `pardon` and `reset`. */
export interface ActionAnswer {
  readonly limits: readonly KeyAction[]
  /** Whether a shield blocks or pardoned the address; `undefined` for a key that is none. */
  readonly shield?: boolean
}

/** What each command answers. */
export interface Answers {
  readonly about: About
  readonly report: Report
  readonly series: readonly Series[]
  readonly show: { readonly limits: readonly KeyState[] }
  readonly block: ActionAnswer
  readonly pardon: ActionAnswer
  readonly reset: ActionAnswer
  readonly reload: object
}

/** A command of the control socket. */
export type Command = keyof Answers

interface Given {
  readonly command?: unknown
  readonly key?: unknown
  readonly limit?: unknown
  readonly ms?: unknown
  readonly since?: unknown
  readonly unit?: unknown
  readonly steps?: unknown
}

/** Each command: the only list of them. */
const COMMANDS: { readonly [Name in Command]: (to: Answering, given: Given) => unknown } = {
  about: ({ view, reload, shared }) => aboutProcess(view, reload !== undefined, shared),
  // Of this host alone: who asks adds up what several processes answer, and each would have the sum of all hosts.
  report: ({ view }, { since }) => (view.own ?? view).report({ since: readSince(since) }),
  series: ({ view }, { unit, steps = 60 }) =>
    (view.own ?? view).series({
      unit: oneOf(unit, 'unit', UNITS),
      steps: integer(steps, 'steps', 1, 1_440, 'INVALID_ARGUMENT'),
    }),
  show: async (to, given) => ({ limits: await onKeys(to, given, showKey) }),
  block: async (to, given) => {
    const ms = integer(given.ms, 'ms', 1, MAX_WINDOW_MS, 'INVALID_ARGUMENT')
    const limits = await onKeys(to, given, (limiter, key) => done(limiter.block(key, ms)))
    return withShield(limits, given, (ip) => to.view.blockSource(ip, ms))
  },
  pardon: async (to, given) => {
    const limits = await onKeys(to, given, pardonKey)
    return withShield(limits, given, (ip) => to.view.pardon(ip))
  },
  reset: async (to, given) => ({
    limits: await onKeys(to, given, (limiter, key) => done(limiter.reset(key))),
  }),
  reload: async ({ reload }) => {
    if (reload !== undefined) return reload()
    const configs = liveConfigs()
    if (configs.length > 0) return oneOfAll(await Promise.all(configs.map((each) => each.reload())))
    const message = 'the limits of this process do not come from a configuration file'
    throw withCode(new Error(message), 'INVALID_ARGUMENT')
  },
}

/** Of several files that were read again: whether all are right, and all that is wrong. */
function oneOfAll(
  results: readonly { readonly ok?: boolean; readonly errors?: readonly object[] }[],
): object {
  const [first, ...others] = results
  if (first !== undefined && others.length === 0) return first
  return {
    ok: results.every(({ ok }) => ok),
    errors: results.flatMap(({ errors = [] }) => errors),
  }
}

const KNOWN = ['command', 'key', 'limit', 'ms', 'since', 'unit', 'steps']
const UNITS: readonly SeriesUnit[] = ['second', 'minute', 'hour']

/**
 * What a request's line is answered with.
 *
 * @throws TypeError or RangeError that says what is wrong with it
 */
export async function answer(to: Answering, line: string): Promise<unknown> {
  const given = ownOptions(parsed(line), KNOWN)
  const { command } = given
  if (typeof command !== 'string' || !Object.hasOwn(COMMANDS, command)) {
    const names = Object.keys(COMMANDS).join(', ')
    throw invalid(RangeError, 'INVALID_ARGUMENT', 'command', `one of ${names}`, command)
  }
  return await COMMANDS[command as Command](to, given)
}

function parsed(line: string): Given {
  try {
    return JSON.parse(line) as Given
  } catch {
    throw invalid(TypeError, 'INVALID_ARGUMENT', 'a request', 'one line of JSON', line)
  }
}

function readSince(since: unknown): string | number | undefined {
  if (since === undefined || typeof since === 'string' || typeof since === 'number') return since
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'since', 'a duration', since)
}

/**
 * Does something to the key under each limiter, or under the one that `limit` names. One limiter that fails does
 * not keep the others from it.
 */
async function onKeys<T extends object>(
  { view }: Answering,
  { key: given, limit }: Given,
  act: (limiter: Limiter, key: string) => Promise<T>,
): Promise<(T & { readonly limit: string; readonly key: string })[]> {
  const key = text(given, 'key', 1, MAX_REQUEST, 'INVALID_ARGUMENT')
  const limiters = [...view.limiters()].filter(([name]) => limit === undefined || name === limit)
  if (limiters.length === 0 && limit !== undefined) {
    const names = [...view.limiters().keys()].join(', ')
    throw invalid(RangeError, 'INVALID_ARGUMENT', 'limit', `one of ${names}`, limit)
  }
  const calls = limiters.flatMap(([name, limiter]) =>
    spellingsOf(key).map(async (spelling) => {
      const place = { limit: name, key: spelling }
      try {
        return { ...place, ...(await act(limiter, spelling)) }
      } catch (error) {
        // A store's own text may hold its address.
        const code = (error as { readonly code?: unknown } | null)?.code
        return { ...place, done: false, error: typeof code === 'string' ? code : 'failed' } as never
      }
    }),
  )
  return Promise.all(calls)
}

/** The key, and for an IPv6 address also the network that such clients are counted by. */
function spellingsOf(key: string): string[] {
  const address = canonical(key)
  return address === undefined ? [key] : [...new Set([key, addressKey(address)])]
}

async function done(call: void | PromiseLike<void>): Promise<{ readonly done: boolean }> {
  await call
  return { done: true }
}

async function showKey(limiter: Limiter, key: string): Promise<object> {
  return stateOf(limiter, key)
}

/** A limiter lifts a block only with all that it knows of the key; so a key that is not blocked is left alone. */
async function pardonKey(limiter: Limiter, key: string): Promise<{ readonly done: boolean }> {
  const { blocked } = await stateOf(limiter, key)
  if (blocked === false) return { done: false }
  return done(limiter.reset(key))
}

function withShield(
  limits: readonly KeyAction[],
  { key, limit }: Given,
  act: (ip: string) => boolean,
): ActionAnswer {
  const address = limit === undefined ? canonical(key as string) : undefined
  return address === undefined ? { limits } : { limits, shield: act(address) }
}
