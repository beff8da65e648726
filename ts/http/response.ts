import {
  ConcurrencyExceeded,
  RateLimitExceeded,
  RequestRefused,
  refusalOf,
  retryMessage,
} from '../errors.ts'
import { andThen, type MaybePromise, toPromise } from '../limiter.ts'
import type { HttpAdapter } from './adapter.ts'
import type { LimiterContext } from './charge.ts'
import { type ChargeRecord, type Exchange, isEnforced, isShown, tightest } from './charge-record.ts'
import { isSilent, setHeaders, showsRetryAfter } from './headers.ts'
import { COLLECTOR, LEGACY_HEADERS, setRetryAfter } from './legacy-headers.ts'
import { discardBody, mustClose } from './node.ts'

/** Why a request is not served: denied by its limits, refused by the shield, or for another reason. */
export type Refusal = Denial | ShieldRefusal | RequestRefused
/** What becomes of a request: `undefined` if it may pass. */
export type Outcome = Refusal | undefined

/** Answers a refused request in place of the framework's error handling. */
export type Handler<Request, Response> = (
  request: Request,
  response: Response,
  error: RateLimitExceeded,
) => unknown

/** What all denials of one limiter have in common. */
export interface DenialTemplate {
  readonly status: number
  readonly message: string | undefined
  /** The JSON body up to its message, and the message if it is always the same. */
  readonly head: string
  readonly quoted: string | undefined
  /** Bodies, by the seconds to wait: a client that is denied again and again gets few different ones. */
  readonly bodies: LastTexts
}

export function denialTemplate(status: number, message: string | undefined): DenialTemplate {
  const head = headOf(status, 'RATE_LIMIT_EXCEEDED')
  const quoted = message && JSON.stringify(message)
  return { status, message, head, quoted, bodies: new LastTexts() }
}

const TEXTS = 64

/** Texts by a number: the last one for each of {@link TEXTS} remainders. */
class LastTexts {
  readonly #numbers: number[] = new Array<number>(TEXTS).fill(-1)
  readonly #texts: string[] = new Array<string>(TEXTS).fill('')

  get(number: number): string | undefined {
    const place = number % TEXTS
    return this.#numbers[place] === number ? this.#texts[place] : undefined
  }

  set(number: number, text: string): string {
    const place = number % TEXTS
    this.#numbers[place] = number
    this.#texts[place] = text
    return text
  }
}

/**
 * A request denied by its limits.
 *
 * Not an Error yet: making one costs more than deciding, and an answer that no error handler sees needs none.
 */
export class Denial {
  readonly statusCode: number
  readonly record: ChargeRecord
  readonly template: DenialTemplate
  /** Whether the request can still be answered: known until other code may have run. */
  isOpen = false

  constructor(record: ChargeRecord, template: DenialTemplate) {
    this.statusCode = template.status
    this.record = record
    this.template = template
  }
}

/** A request refused by the shield. Not an Error yet, for the same reason. */
export class ShieldRefusal {
  readonly code: 'ABNORMAL_USAGE' | 'REDUCED_CAPACITY'
  readonly statusCode: number
  /** Seconds to wait, rounded up. */
  readonly retryAfter: number

  constructor(code: ShieldRefusal['code'], retryAfter: number) {
    this.code = code
    this.statusCode = refusalOf(code)[0]
    this.retryAfter = retryAfter
  }
}

/** The error that stands for a refusal. */
export function errorOf(refusal: Denial): RateLimitExceeded
export function errorOf(refusal: Refusal): RateLimitExceeded | RequestRefused
export function errorOf(refusal: Refusal): RateLimitExceeded | RequestRefused {
  if (refusal instanceof ShieldRefusal) {
    const { code, retryAfter } = refusal
    return withoutStack(() => new RequestRefused(code, { retryAfter }))
  }
  if (!(refusal instanceof Denial)) return refusal
  const { status, message } = refusal.template
  const { decision, limits } = refusal.record
  const { refused } = limits
  return withoutStack(() =>
    refused === undefined
      ? new RateLimitExceeded(decision, message, status)
      : new ConcurrencyExceeded(refused.reason, decision.limit, message, status),
  )
}

/** Makes an error at a fraction of the cost: most of it is the stack, which would only show this package. */
export function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}

const JSON_TYPE = 'application/json; charset=utf-8'
/** Of bodies by RFC 9457. */
const PROBLEM_TYPE = 'application/problem+json'

/** Content type of {@link bodyOf}. */
export function typeOf(refusal: Refusal): string {
  return refusal instanceof ShieldRefusal ? PROBLEM_TYPE : JSON_TYPE
}

/**
 * The JSON body of a refusal, as Fastify writes the error. It says nothing about the request or its key.
 *
 * Joined from parts made once: under a flood of denials only the seconds differ.
 */
export function bodyOf(refusal: Refusal): string {
  if (refusal instanceof Denial) {
    const { head, quoted, bodies } = refusal.template
    const { retryAfter } = refusal.record.decision
    const join = (): string => `${head}${quoted ?? `"${waitMessage(refusal)}"`}}`
    if (retryAfter === undefined) return join()
    return bodies.get(retryAfter) ?? bodies.set(retryAfter, join())
  }
  if (refusal instanceof ShieldRefusal) return SHIELD_BODIES[refusal.code]
  return `${headOf(refusal.statusCode, refusal.code)}${JSON.stringify(refusal.message)}}`
}

const PROBLEMS = 'https://iana.org/assignments/http-problem-types#'

/** The same for all clients, so that a flood of refusals makes no texts. */
const SHIELD_BODIES: Readonly<Record<ShieldRefusal['code'], string>> = {
  ABNORMAL_USAGE: shieldBody('ABNORMAL_USAGE', 'abnormal-usage-detected', 'Too Many Requests'),
  REDUCED_CAPACITY: shieldBody(
    'REDUCED_CAPACITY',
    'temporary-reduced-capacity',
    'Service Unavailable',
  ),
}

function shieldBody(code: ShieldRefusal['code'], type: string, title: string): string {
  const [status, detail] = refusalOf(code)
  return JSON.stringify({ type: PROBLEMS + type, title, status, detail })
}

/** Answers a refusal as JSON. */
export function sendRefusal(
  adapter: Pick<HttpAdapter, 'send'>,
  response: object,
  refusal: Refusal,
): void {
  adapter.send(response, refusal.statusCode, typeOf(refusal), bodyOf(refusal), isOpen(refusal))
}

/** Whether nothing can have answered the request since it was denied. */
export function isOpen(refusal: Refusal): boolean {
  return refusal instanceof Denial && refusal.isOpen
}

/** An outcome that comes later than its decision: meanwhile the request may have been answered. */
export function notOpen(outcome: Outcome): Outcome {
  if (outcome instanceof Denial) outcome.isOpen = false
  return outcome
}

function headOf(statusCode: number, code: string): string {
  const { STATUS_CODES } = process.getBuiltinModule('node:http')
  const error = JSON.stringify(STATUS_CODES[statusCode] ?? 'Error')
  return `{"statusCode":${statusCode},"code":"${code}","error":${error},"message":`
}

/** The body by RFC 9457, with the type and the extension of draft-ietf-httpapi-ratelimit-headers-10, section 6. */
function problemOf(denial: Denial): string {
  const { limits, decision } = denial.record
  const name = limits.names[decision.policy]
  return JSON.stringify({
    type: `${PROBLEMS}quota-exceeded`,
    title: 'Too Many Requests',
    status: denial.statusCode,
    detail: denial.template.message ?? waitMessage(denial),
    'violated-policies': name === undefined ? [] : [name],
  })
}

function waitMessage({ record }: Denial): string {
  return retryMessage(record.decision.retryAfter ?? Number.POSITIVE_INFINITY)
}

/**
 * What {@link showHeaders} and {@link deny} have set, for a response that was made without it.
 *
 * @param last the newest charge of the request
 */
export function headersOf(
  { options: { headers }, adapter }: LimiterContext,
  last: ChargeRecord | undefined,
  outcome: Outcome,
  request: object,
): MaybePromise<Record<string, string>> {
  const found: Record<string, string> = {}
  if (outcome instanceof Denial) setRetryAfter(outcome.record.decision, found, COLLECTOR)
  if (outcome !== undefined && mustClose(adapter.incoming(request))) {
    COLLECTOR.setHeader(found, 'connection', 'close')
  }
  const shown = last === undefined ? undefined : tightest(last, isShown)
  if (last === undefined || shown?.owner.isShown !== true || headers === false) return found
  const isHidden = headers === 'draft' || isSilent(shown) || isDeniedUnseen(last)
  const legacy = isHidden ? undefined : shown
  const set = setHeaders(legacy, headers === 'legacy' ? undefined : last, found, COLLECTOR)
  return andThen(set, () => found)
}

/** Makes a denial, and sets `Retry-After` whatever `headers` says, unless waiting does not help. */
export function deny(
  { options: { headers }, adapter, template }: LimiterContext,
  record: ChargeRecord,
  { request, response, previous }: Exchange,
): Denial {
  const denial = new Denial(record, record.limits.refused?.template ?? template)
  if (adapter.isFinished(response)) return denial
  denial.isOpen = true
  const isHidden = headers === 'draft' || headers === false
  if (previous !== undefined && isHidden && tightest(previous, isShown).owner.isShown) {
    // The figures of earlier limits would stand beside the `Retry-After` of this one.
    for (const name of LEGACY_HEADERS) adapter.removeHeader(response, name)
  }
  if (!showsRetryAfter(record, headers)) setRetryAfter(record.decision, response, adapter)
  closeIfLong(adapter, request, response)
  return denial
}

/** Answers a refusal as the options say. False if they do not. */
export function answer(
  { options: { handler, problem }, adapter }: LimiterContext,
  refusal: Refusal,
  request: object,
  response: object,
): MaybePromise<boolean> {
  const isFinished = adapter.isFinished(response)
  if (!(refusal instanceof Denial)) {
    if (!isFinished) closeIfLong(adapter, request, response)
    return false
  }
  // Answered while we waited, or the client has left: another answer would only fail.
  if (isFinished) return false
  if (handler !== undefined) {
    // A handler that forgets the status must not answer a refusal with 200.
    adapter.setStatus(response, refusal.statusCode)
    return andThen(toPromise(handler(request, response, errorOf(refusal))), () => true)
  }
  if (!problem) return false
  adapter.setHeader(response, 'cache-control', 'no-store')
  adapter.send(response, refusal.statusCode, PROBLEM_TYPE, problemOf(refusal), true)
  return true
}

/** A server must not have to read a gigabyte to deny a request: the connection ends after the answer. */
function closeIfLong(adapter: HttpAdapter, request: object, response: object): void {
  const incoming = adapter.incoming(request)
  if (!mustClose(incoming)) return
  adapter.setHeader(response, 'connection', 'close')
  discardBody(incoming)
}

/** Whether a limit whose headers are off denies the request. */
function isDeniedUnseen(last: ChargeRecord): boolean {
  const { decision, owner } = tightest(last, isEnforced)
  return !decision.allowed && !owner.isShown && !owner.isDryRun
}
