import type { AddressRanges } from '../client-ip/cidr.ts'
import type { MaybePromise } from '../maybe-promise.ts'
import { toPromise, withTimeout } from '../maybe-promise.ts'
import type { HttpAdapter } from './adapter.ts'
import type { Facts } from './key-functions.ts'

/** What becomes of a request before anything is counted. */
export type Verdict = 'limit' | 'pass' | 'forbid'

/** Whether a request is exempt. */
export type Skip<Request> = (request: Request) => boolean | PromiseLike<boolean>

/** Who is limited at all. */
export interface FilterOptions<Request> {
  readonly methods: ReadonlySet<string> | undefined
  readonly allow: AddressRanges | undefined
  readonly deny: AddressRanges | undefined
  readonly skip: Skip<Request> | undefined
  readonly timeoutMs: number
}

/** Tells the requests to count from those to let pass or to turn away. */
export class Filter<Request, Response> {
  readonly #options: FilterOptions<Request>
  readonly #framework: HttpAdapter<Request, Response>
  readonly #facts: Facts<Request>
  readonly #report: (request: Request, error: unknown) => void

  constructor(
    options: FilterOptions<Request>,
    framework: HttpAdapter<Request, Response>,
    facts: Facts<Request>,
    report: (request: Request, error: unknown) => void,
  ) {
    this.#options = options
    this.#framework = framework
    this.#facts = facts
    this.#report = report
  }

  judge(request: Request): MaybePromise<Verdict> {
    const { methods, allow, deny, skip } = this.#options
    if (deny !== undefined && this.#isIn(deny, request)) return 'forbid'
    if (methods !== undefined && !methods.has(countedAs(this.#framework.method(request)))) {
      return 'pass'
    }
    if (allow !== undefined && this.#isIn(allow, request)) return 'pass'
    return skip === undefined ? 'limit' : this.#askSkip(skip, request)
  }

  /** Lists hold for the address itself, before IPv6 is grouped: a neighbour is not meant. */
  #isIn(ranges: AddressRanges, request: Request): boolean {
    const client = this.#facts.client(request)
    return client !== undefined && ranges.has(client)
  }

  /** A `skip` that fails exempts nobody. */
  #askSkip(skip: Skip<Request>, request: Request): MaybePromise<Verdict> {
    const failed = (error: unknown): Verdict => {
      this.#report(request, error)
      return 'limit'
    }
    const verdict = (skipped: boolean): Verdict => (skipped === true ? 'pass' : 'limit')
    try {
      const answer = toPromise(skip(request))
      if (!(answer instanceof Promise)) return verdict(answer)
      return withTimeout(answer, this.#options.timeoutMs, 'skip').then(verdict, failed)
    } catch (error) {
      return failed(error)
    }
  }
}

/** HEAD counts as GET. */
export function countedAs(method: string): string {
  return method === 'HEAD' ? 'GET' : method
}

/** Whether anything is to be filtered. */
export function filters<Request>(options: FilterOptions<Request>): boolean {
  const { methods, allow, deny, skip } = options
  return [methods, allow, deny, skip].some((option) => option !== undefined)
}
