import type { AddressRanges } from '../client-ip/cidr.ts'
import { isClosed } from '../errors.ts'
import { type MaybePromise, toPromise, withTimeout } from '../limiter.ts'
import { invalid } from '../validate.ts'
import type { LimiterContext } from './charge.ts'
import type { Exchange } from './charge-record.ts'
import type { ResolvedHttpOptions } from './options.ts'
import type { Settle } from './provisional-charge.ts'

/*
 * Which requests count: options `deny`, `methods`, `allow` and `skip` decide before a request is charged, option
 * `countWhen` when it has been answered.
 */

/** What becomes of a request before its key is known. */
export type Verdict = 'limit' | 'exempt' | 'forbid'

/** Whether a request is exempt. */
export type Skip<Request> = (request: Request) => boolean | PromiseLike<boolean>

/** Whether any option exempts or forbids requests. */
export function hasExemptions({ methods, allow, deny, skip }: ResolvedHttpOptions): boolean {
  return [methods, allow, deny, skip].some((option) => option !== undefined)
}

/** By options `deny`, `methods`, `allow` and `skip`, in this order. */
export function judge(context: LimiterContext, request: object): MaybePromise<Verdict> {
  const { methods, allow, deny, skip } = context.options
  // The lists hold for the address itself, before IPv6 addresses are grouped by network.
  const isIn = (ranges: AddressRanges): boolean => {
    const address = context.client.client(request)
    return address !== undefined && ranges.has(address)
  }
  if (deny !== undefined && isIn(deny)) return 'forbid'
  if (methods?.has(countedAs(context.adapter.method(request))) === false) return 'exempt'
  if (allow !== undefined && isIn(allow)) return 'exempt'
  return skip === undefined ? 'limit' : askSkip(context, skip, request)
}

/** A `skip` that fails exempts no request. */
function askSkip(
  { options, events }: LimiterContext,
  skip: Skip<object>,
  request: object,
): MaybePromise<Verdict> {
  const failed = (error: unknown): Verdict => {
    events.failed(request, error)
    return 'limit'
  }
  const verdict = (skipped: boolean): Verdict => (skipped === true ? 'exempt' : 'limit')
  try {
    const skipped = toPromise(skip(request))
    if (!(skipped instanceof Promise)) return verdict(skipped)
    return withTimeout(skipped, options.keyTimeoutMs, 'skip').then(verdict, failed)
  } catch (error) {
    return failed(error)
  }
}

/** Reads option `methods`. */
export function readMethods(methods: unknown, name: string): ReadonlySet<string> {
  const accepted = 'an array of methods such as ["POST"]'
  if (!Array.isArray(methods) || methods.length === 0) {
    throw invalid(TypeError, 'INVALID_OPTION', name, accepted, methods)
  }
  const read = methods.map((value: unknown, i) => {
    const method = typeof value === 'string' ? value.toUpperCase() : ''
    if (knownMethods().includes(method)) return countedAs(method)
    // A limit on a method that does not exist would count no request.
    const known = 'a method that Node accepts, such as "POST"'
    throw invalid('string', 'INVALID_OPTION', `${name}[${i}]`, known, value)
  })
  return new Set(read)
}

/** Known to a later version of Node than the one that reads the option. */
const NEWER_METHODS: readonly string[] = ['QUERY']

/** The methods that a request can have: Node's parser refuses all others. */
export function knownMethods(): readonly string[] {
  return [...process.getBuiltinModule('node:http').METHODS, ...NEWER_METHODS]
}

/** HEAD counts as GET. */
function countedAs(method: string): string {
  return method === 'HEAD' ? 'GET' : method
}

/** How a request was answered. */
export interface Outcome<Request> {
  readonly request: Request
  /** The status that was sent. */
  readonly status: number
}

/** Which requests count: all, those answered with a status from 400, those below, or as a function says. */
export type CountWhen<Request> =
  | 'always'
  | 'failure'
  | 'success'
  | ((outcome: Outcome<Request>) => boolean)

/** Whether a request counts, by its answer. */
export type Counts = (outcome: Outcome<object>) => boolean

const NAMED: ReadonlyMap<unknown, Counts | undefined> = new Map<unknown, Counts | undefined>([
  [undefined, undefined],
  ['always', undefined],
  ['failure', ({ status }) => status >= 400],
  ['success', ({ status }) => status < 400],
])

/** @throws TypeError unless it is a {@link CountWhen}; `undefined` and `'always'`: every request counts */
export function readCountWhen(value: unknown): Counts | undefined {
  if (typeof value === 'function') return value as Counts
  if (NAMED.has(value)) return NAMED.get(value)
  const accepted = '"always", "failure", "success" or a function'
  throw invalid(TypeError, 'INVALID_OPTION', 'countWhen', accepted, value)
}

/**
 * Settles a provisional charge when the response ends. A request counts if its client disconnects first, and if
 * `counts` fails.
 */
export function settleOnResponseEnd(
  context: LimiterContext,
  settle: Settle,
  counts: Counts,
  { request, response }: Exchange,
): void {
  const { adapter, events } = context
  const ended = async (status: number | undefined): Promise<void> => {
    try {
      await settle(status === undefined || shouldCount(context, counts, { request, status }))
    } catch (error) {
      if (!isClosed(error)) events.failed(request, error)
    }
  }
  if (adapter.isFinished(response)) void ended(undefined)
  else adapter.onEnd(response, (status) => void ended(status))
}

function shouldCount(
  { events }: LimiterContext,
  counts: Counts,
  outcome: Outcome<object>,
): boolean {
  const failed = (error: unknown): void => events.failed(outcome.request, error)
  try {
    const isCounted = toPromise<unknown>(counts(outcome))
    if (!(isCounted instanceof Promise)) return isCounted !== false
    // An unhandled rejection would end the process.
    isCounted.catch(failed)
    const name = 'what countWhen returns'
    failed(invalid(TypeError, 'INVALID_ARGUMENT', name, 'true or false', isCounted))
  } catch (error) {
    failed(error)
  }
  return true
}
