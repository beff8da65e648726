import { executionAsyncResource } from 'node:async_hooks'
import type { Cluster } from 'node:cluster'
import { type Channel, channel } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Decision } from '../decision.ts'
import { toPromise } from '../limiter.ts'
import { printable } from '../validate.ts'

/** A decision about a request. */
export interface DecisionEvent<Request> {
  readonly request: Request
  /** The key that was counted; a secret if your key function makes one of a secret. */
  readonly key: string | undefined
  /** `undefined` for a request that was refused without being counted. */
  readonly decision: Decision | undefined
  /** Whether a denial is only reported. */
  readonly dryRun: boolean
}

/** Something that failed while a request was decided about. */
export interface ErrorEvent<Request> {
  readonly request: Request
  readonly error: unknown
}

/** Callbacks for what happens to requests. They must not throw; if one does, the request goes on. */
export interface Hooks<Request> {
  readonly onAdmit?: ((event: DecisionEvent<Request>) => void) | undefined
  readonly onDeny?: ((event: DecisionEvent<Request>) => void) | undefined
  readonly onError?: ((event: ErrorEvent<Request>) => void) | undefined
}

/** `ratethrottle:admit`. */
export const ADMIT: Channel = channel('ratethrottle:admit')
const DENY = channel('ratethrottle:deny')
const ERROR = channel('ratethrottle:error')
/** How warnings name the hooks. */
const HOOKS = 'onAdmit, onDeny or onError'

/** Calls hooks, and publishes to `ratethrottle:admit`, `:deny` and `:error`. Free while nothing listens. */
export class Events {
  readonly hooks: Hooks<object>
  readonly #warnings: Warnings

  constructor(hooks: Hooks<object>, warnings: Warnings) {
    this.hooks = hooks
    this.#warnings = warnings
  }

  /** Call it only if `hooks.onAdmit` or {@link ADMIT} has a listener. */
  admitted(request: object, key: string, decision: Decision, dryRun: boolean): void {
    publish(this.#warnings, HOOKS, this.hooks.onAdmit, ADMIT, { request, key, decision, dryRun })
  }

  denied(
    request: object,
    key: string | undefined,
    decision: Decision | undefined,
    dryRun: boolean,
  ): void {
    if (this.hooks.onDeny === undefined && !DENY.hasSubscribers) return
    publish(this.#warnings, HOOKS, this.hooks.onDeny, DENY, { request, key, decision, dryRun })
  }

  /** Without a listener an error is a warning, once, so that it is not lost. */
  failed(request: object, error: unknown): void {
    const isHeard = this.hooks.onError !== undefined || ERROR.hasSubscribers
    if (!isHeard) {
      const message = (): string =>
        `a request could not be decided about: ${reasonOf(error)}. Later failures are not logged; use onError`
      this.#warnings.warnOnce('RATETHROTTLE_FAILED', message)
    }
    publish(this.#warnings, HOOKS, this.hooks.onError, ERROR, { request, error })
  }

  /** A key function that never finds a key refuses every request, each with a plain 400. */
  keyMissing(): void {
    this.#warnings.warnOnce(
      'RATETHROTTLE_KEY_MISSING',
      'a request was refused with 400 (KEY_MISSING): the key function returned undefined, null or an empty ' +
        "string. Set missingKey: 'deny' if this is intended, or 'ip' or 'shared' to count such requests",
    )
  }
}

/**
 * Calls a hook of the user's, if there is one, and publishes the event. A hook that fails is warned about once.
 *
 * @param hooks the names of such hooks, for the warning
 */
export function publish<Event>(
  warnings: Warnings,
  hooks: string,
  hook: ((event: Event) => void) | undefined,
  listeners: Channel,
  event: Event,
): void {
  const failed = (error: unknown): void => {
    const message = (): string => `${hooks} threw: ${reasonOf(error)}`
    warnings.warnOnce('RATETHROTTLE_HOOK_FAILED', message)
  }
  try {
    const returned = toPromise<unknown>(hook?.(event))
    // An async hook is not awaited, and one that rejects must not end the process.
    if (returned instanceof Promise) returned.catch(failed)
  } catch (error) {
    failed(error)
  }
  listeners.publish(event)
}

/** Longest part of an error's message that is shown. */
const MAX_SHOWN = 200
/** How much of a message is looked at, however long it is. */
const MAX_READ = 2_000

/** What an error's message may have of clients and stores, and an operator's log must not. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  // Before the host of a URL: a user and a password.
  [/\/\/[^\s/@]*@/g, '//[credentials]@'],
  [/\b(bearer|basic|token|password|secret|api[-_ ]?key)(["':=\s]+)\S+/gi, '$1$2[secret]'],
  // Such as a token, a hash or a key that was made by chance: names of that length have no digits.
  [/\b(?=[\w-]*\d)[\w-]{24,}(\.[\w-]+)*/g, '[secret]'],
  [/\b\d{1,3}(\.\d{1,3}){3}\b(:\d+)?/g, '[address]'],
  [/(?<![\w:])(?:[\da-f]{0,4}:){2,7}[\da-f]{0,4}(?:%\w+)?(?![\w:])/gi, '[address]'],
]

/**
 * An error in words, for a log: its name, its code and its message, in printable ASCII and bounded. Never throws.
 *
 * The message may be that of an error of a user's function, so what looks like a secret or an address is left out.
 */
export function reasonOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return clean(`${printable(error)} was thrown`)
    const { name, message } = error
    const { code } = error as { readonly code?: unknown }
    const shown = typeof code === 'string' ? `${name} [${code}]` : name
    return `${clean(shown)}: ${clean(message)}`
  } catch {
    return 'an error that can not be read was thrown'
  }
}

function clean(text: string): string {
  let shown = String(text).slice(0, MAX_READ)
  for (const [secret, instead] of SECRETS) shown = shown.replace(secret, instead)
  const ascii = shown.replace(/[^\x20-\x7e]+/g, ' ')
  return ascii.length > MAX_SHOWN ? `${ascii.slice(0, MAX_SHOWN - 3)}...` : ascii
}

/** Codes of warnings about the setup of a service. docs/reference/warnings.md explains each. */
export type WarningCode =
  | 'RATETHROTTLE_PERMISSIVE_PROXY'
  | 'RATETHROTTLE_HOP_COUNT'
  | 'RATETHROTTLE_STRAY_FORWARDED_FOR'
  | 'RATETHROTTLE_NO_ADDRESS'
  | 'RATETHROTTLE_NO_CONNECTION'
  | 'RATETHROTTLE_LATE'
  | 'RATETHROTTLE_PER_PROCESS'
  | 'RATETHROTTLE_HOOK_FAILED'
  | 'RATETHROTTLE_FAILED'
  | 'RATETHROTTLE_KEY_MISSING'
  | 'RATETHROTTLE_NOT_AWAITED'
  | 'RATETHROTTLE_UNKNOWN_ROUTE_CONFIG'
  | 'RATETHROTTLE_LOOSER_ROUTE'
  | 'RATETHROTTLE_SHIELD_FAILED'
  | 'RATETHROTTLE_SHIELD_NO_ADDRESS'
  | 'RATETHROTTLE_SHIELD_ENTRIES'

/** Emits each warning once: a server under attack must not spend its time on logging. */
export class Warnings {
  readonly #emitted = new Set<WarningCode>()

  has(code: WarningCode): boolean {
    return this.#emitted.has(code)
  }

  /** @param message must contain nothing that a client sent; a function is called once */
  warnOnce(code: WarningCode, message: string | (() => string)): void {
    if (this.#emitted.has(code)) return
    this.#emitted.add(code)
    process.emitWarning(typeof message === 'string' ? message : message(), {
      type: 'RateThrottleWarning',
      code,
    })
  }
}

/** Once per process, not per limiter. */
let hasWarnedOfProcesses = false

/** A server loads node:cluster when it listens; loading a limiter does not. */
function isClusterWorker(): boolean {
  // The types give the shape of `import *`; what comes is the default export.
  return (process.getBuiltinModule('node:cluster') as unknown as Cluster).isWorker
}

/** Counters in the memory of one of several processes admit a multiple of the limit. */
export function warnOfSeveralProcesses(storage: unknown, warnings: Warnings): void {
  const isMemory =
    storage === undefined || (typeof storage === 'string' && storage.startsWith('memory'))
  // PM2 numbers its processes; an app that runs once has the number 0.
  const { NODE_APP_INSTANCE = '0' } = process.env
  const isOneOfSeveral = isClusterWorker() || Number(NODE_APP_INSTANCE) > 0
  if (!isMemory || !isOneOfSeveral || hasWarnedOfProcesses) return
  hasWarnedOfProcesses = true
  warnings.warnOnce(
    'RATETHROTTLE_PER_PROCESS',
    'this is one of several processes, and its counters are its own: together the processes admit a multiple of ' +
      'the limit. Give them one storage, such as storage: "shared:api" or "redis://..."',
  )
}

/*
 * A limiter that is made for each request starts at zero each time, so it limits nothing, and each has a table
 * to itself. Three signs of it cost nothing while requests are decided about; the first one found is warned about.
 */

/** This many limiters, made while a server serves, are made for its requests. */
const MANY_LIMITERS = 1_000

let hasWarnedOfRequests = false
let isAsked = false
let isServing = false
let openLimiters = 0

/**
 * A limiter was made.
 *
 * @returns to be called with its first request
 */
export function limiterMade(): (incoming: Pick<IncomingMessage, 'socket'> | undefined) => void {
  if (isServing) openLimiters++
  if (openLimiters >= MANY_LIMITERS || isInRequest()) warnOfLimitersPerRequest()
  // A request in the same turn of the event loop was there before the limiter.
  let isFresh = true
  queueMicrotask(() => {
    isFresh = false
  })
  return (incoming) => {
    isAsked = true
    // A request made by a test has no server.
    if (!isOfServer(incoming?.socket)) return
    isServing = true
    if (isFresh) warnOfLimitersPerRequest()
  }
}

/** A limiter was closed, as those of a test's many servers are. */
export function limiterClosed(): void {
  if (openLimiters > 0) openLimiters--
}

/** Whether any limiter of this process has got a request. */
export function wasAnyAsked(): boolean {
  return isAsked
}

/** Once per process. */
export function warnOfLimitersPerRequest(): void {
  if (hasWarnedOfRequests) return
  hasWarnedOfRequests = true
  process.emitWarning(
    'a limiter was made while a request was being handled. A limiter that is made for each request starts at ' +
      'zero each time and limits nothing: make it once, where the server is set up. If the limits depend on the ' +
      'request, pass a function: limits: (request) => ...',
    { type: 'RateThrottleWarning', code: 'RATETHROTTLE_MADE_PER_REQUEST' },
  )
}

/** Whether node:http is calling its server's listeners for a request. */
function isInRequest(): boolean {
  const { type, socket } = executionAsyncResource() as { type?: unknown; socket?: Socket }
  // The response that a client has received is one as well, but comes from no server.
  return type === 'HTTPINCOMINGMESSAGE' && isOfServer(socket)
}

function isOfServer(socket: Socket | undefined): boolean {
  try {
    return (socket as { server?: unknown } | undefined)?.server !== undefined
  } catch {
    // HTTP/2: the socket was closed, and its proxy throws.
    return false
  }
}
