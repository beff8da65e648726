import type { Answer } from '../limiter.ts'
import { settle, then, unlessClosed } from '../maybe-promise.ts'
import type { HttpAdapter } from './adapter.ts'
import { type ChargeRecord, type Exchange, isEnforced, isShown, tightest } from './charge-record.ts'
import { Denial, type Refusal, Wording } from './denial.ts'
import { LEGACY_HEADERS, type SetHeader, setLegacyHeaders, standingItem } from './headers.ts'
import type { ReadOptions } from './resolve-options.ts'

/** What clients are told: headers, and the answer to a refused request. */
export class Reply<Request extends object, Response extends object> {
  readonly #options: ReadOptions<Request, Response>
  readonly #framework: HttpAdapter<Request, Response>
  readonly #wording: Wording

  constructor(options: ReadOptions<Request, Response>, framework: HttpAdapter<Request, Response>) {
    this.#options = options
    this.#framework = framework
    this.#wording = new Wording(options.status, options.message)
  }

  /** Sets the headers of the decision that is `passage`, and of those before it. */
  show(passage: ChargeRecord, response: Response): Answer<void> {
    const { headers } = this.#options
    if (!passage.isShown || this.#framework.isFinished(response)) return
    // A tighter limit has written its figures already.
    const isTightest = passage.before === undefined || tightest(passage, isShown) === passage
    if (headers === 'draft' || !isTightest) return this.#showRest(passage, response)
    const { decision } = passage
    if (!decision.allowed && isMixed(passage)) return this.#showMixed(passage, response)
    setLegacyHeaders(decision, decision.remaining, response, this.#framework.setHeader)
    return this.#showRest(passage, response)
  }

  /** Apart from `show`: a closure there would cost every admitted request an allocation. */
  #showMixed(passage: ChargeRecord, response: Response): Answer<void> {
    return then(remainingOf(passage), (remaining) => {
      if (this.#framework.isFinished(response)) return
      setLegacyHeaders(passage.decision, remaining, response, this.#framework.setHeader)
      return this.#showRest(passage, response)
    })
  }

  /** A header that all responses have which `show` has seen. */
  get mark(): string | undefined {
    const { headers, dryRun } = this.#options
    if (headers === false || dryRun) return undefined
    return headers === 'draft' ? 'ratelimit' : 'x-ratelimit-limit'
  }

  /**
   * What `show` and `deny` set, once more.
   *
   * @param last of the decisions about the request
   */
  headersOf(
    last: ChargeRecord | undefined,
    refusal: Refusal,
    request: Request,
  ): Answer<Record<string, string>> {
    const { headers } = this.#options
    const found: Record<string, string> = {}
    if (refusal instanceof Denial) setRetryAfter(refusal, found, collect)
    if (refusal !== undefined && this.#isLong(request)) collect(found, 'connection', 'close')
    const shown = last === undefined ? undefined : tightest(last, isShown)
    if (last === undefined || shown?.isShown !== true || headers === false) return found
    const hasLegacy = headers !== 'draft' && !isDeniedUnseen(last)
    return then(hasLegacy ? legacyOf(shown, found) : found, () =>
      headers === 'legacy' ? found : then(draftOf(last), (draft) => ({ ...found, ...draft })),
    )
  }

  /** A denial. `Retry-After` is sent whatever `headers` says, unless waiting would not help. */
  deny(passage: ChargeRecord, { request, response, before }: Exchange<Request, Response>): Denial {
    const denial = new Denial(passage, this.#wording)
    if (this.#framework.isFinished(response)) return denial
    const { headers } = this.#options
    if (before !== undefined && headers !== 'legacy' && headers !== 'both') {
      this.#hideLegacy(before, response)
    }
    setRetryAfter(denial, response, this.#framework.setHeader)
    this.#closeIfLong(request, response)
    return denial
  }

  /** Answers as the options say. False if they do not. */
  answer(refusal: NonNullable<Refusal>, request: Request, response: Response): Answer<boolean> {
    if (!(refusal instanceof Denial)) {
      if (!this.#framework.isFinished(response)) this.#closeIfLong(request, response)
      return false
    }
    const { handler, problem } = this.#options
    // Somebody answered, or the client went, while we waited: whoever answers now would only fail.
    if (this.#framework.isFinished(response)) return false
    if (handler !== undefined) {
      // A handler that forgets the status must not answer a refusal with 200.
      this.#framework.setStatus(response, refusal.statusCode)
      return then(settle(handler(request, response, refusal.toError())), () => true)
    }
    if (!problem) return false
    this.#framework.setHeader(response, 'cache-control', 'no-store')
    const body = refusal.toProblem()
    this.#framework.send(response, refusal.statusCode, 'application/problem+json', body)
    return true
  }

  /** What limits before this one have said: beside its Retry-After the figures would be those of another limit. */
  #hideLegacy(before: ChargeRecord, response: Response): void {
    if (!tightest(before, isShown).isShown) return
    for (const name of LEGACY_HEADERS) this.#framework.removeHeader(response, name)
  }

  /** Denied is denied before the body: a server must not have to read a gigabyte to say no. */
  #closeIfLong(request: Request, response: Response): void {
    if (!this.#isLong(request)) return
    this.#framework.setHeader(response, 'connection', 'close')
    this.#framework.discardBody(request)
  }

  #showRest(passage: ChargeRecord, response: Response): Answer<void> {
    if (this.#options.headers !== 'legacy') return this.#showDraft(passage, response)
  }

  #isLong(request: Request): boolean {
    // HTTP/2 has no such header: there a stream ends alone.
    return this.#framework.version(request) === 1 && this.#framework.hasLongBody(request)
  }

  #showDraft(passage: ChargeRecord, response: Response): Answer<void> {
    return then(draftOf(passage), (headers) => {
      if (this.#framework.isFinished(response)) return
      for (const name in headers) {
        this.#framework.setHeader(response, name, headers[name] as string)
      }
    })
  }
}

/** Whether the request is denied by a limit that clients are told nothing of. */
function isDeniedUnseen(last: ChargeRecord): boolean {
  const { decision, isShown, isDry } = tightest(last, isEnforced)
  return !decision.allowed && !isShown && !isDry
}

/**
 * Whether the limit that denies may have more left than another one: several units can be refused by a limit
 * that still has some.
 */
function isMixed({ decision, cost, budget }: ChargeRecord): boolean {
  return !decision.allowed && cost !== undefined && cost > 1 && budget.policies.length > 1
}

/** What is left of the limit that decides. */
function remainingOf({ budget, key, decision }: ChargeRecord): Answer<number> {
  const { policy, remaining } = decision
  return then(
    budget.tier.standings(key, decision),
    (standings) => standings[policy]?.remaining ?? remaining,
  )
}

const collect: SetHeader<Record<string, string>> = (headers, name, value) => {
  headers[name] = value
}

function setRetryAfter<Target>({ retryAfter }: Denial, to: Target, set: SetHeader<Target>): void {
  if (retryAfter !== Number.POSITIVE_INFINITY) set(to, 'retry-after', String(retryAfter))
}

function legacyOf(shown: ChargeRecord, found: Record<string, string>): Answer<unknown> {
  const { decision } = shown
  const left = isMixed(shown) ? remainingOf(shown) : decision.remaining
  return then(left, (remaining) => setLegacyHeaders(decision, remaining, found, collect))
}

function draftOf(last: ChargeRecord): Answer<Record<string, string>> {
  const shown = chain(last)
  const policies = shown.map(({ budget }) => budget.policyText).join(', ')
  return then(standingsOf(shown), (ratelimit) => ({ 'ratelimit-policy': policies, ratelimit }))
}

/** All that are shown, in the order in which they were decided. */
function chain(passage: ChargeRecord): ChargeRecord[] {
  const shown: ChargeRecord[] = []
  for (let at: ChargeRecord | undefined = passage; at !== undefined; at = at.before) {
    if (at.isShown) shown.unshift(at)
  }
  return shown
}

function standingsOf(shown: readonly ChargeRecord[]): Answer<string> {
  const texts = shown.map(({ budget, key, decision }) => {
    const asked = unlessClosed(() => budget.tier.standings(key, decision))
    return then(asked, (standings) =>
      standings
        ?.map((standing, i) => standingItem(budget.policies[i]?.name ?? '', standing))
        .join(', '),
    )
  })
  if (texts.some((text) => text instanceof Promise)) return Promise.all(texts).then(listed)
  return listed(texts as string[])
}

/** Of limiters that were closed meanwhile nothing is known. */
function listed(texts: readonly (string | undefined)[]): string {
  return texts.filter((text) => text !== undefined).join(', ')
}
