import { isClosed } from '../errors.ts'
import { toPromise } from '../maybe-promise.ts'
import { mustBe } from '../validate.ts'
import type { HttpAdapter } from './adapter.ts'
import type { Exchange } from './charge-record.ts'
import type { ProvisionalCharge } from './provisional-charge.ts'

/** How a response turned out. */
export interface Outcome<Request> {
  readonly request: Request
  /** The status that was sent. */
  readonly status: number
}

/** Which requests count: all, those answered with a status of 400 and more, those below, or as it says. */
export type CountWhen<Request> =
  | 'always'
  | 'failure'
  | 'success'
  | ((outcome: Outcome<Request>) => boolean)

/** Whether a response that was sent makes its request count. */
export type Counts<Request> = (outcome: Outcome<Request>) => boolean

const NAMED: ReadonlyMap<unknown, Counts<unknown>> = new Map([
  ['failure', ({ status }: Outcome<unknown>) => status >= 400],
  ['success', ({ status }: Outcome<unknown>) => status < 400],
])

/** @throws TypeError unless it is a {@link CountWhen}; nothing, and `'always'`, mean that every request counts */
export function readCountWhen<Request>(value: unknown): Counts<Request> | undefined {
  if (value === undefined || value === 'always') return undefined
  if (typeof value === 'function') return value as Counts<Request>
  const named = NAMED.get(value)
  if (named !== undefined) return named
  throw new TypeError(mustBe('countWhen', '"always", "failure", "success" or a function', value))
}

/**
 * Settles a hold when the response ends. A client that hangs up earns nothing: its request counts, as
 * does one about which `counts` fails.
 */
export function settleAtEnd<Request, Response>(
  hold: ProvisionalCharge,
  counts: Counts<Request>,
  { request, response }: Exchange<Request, Response>,
  framework: HttpAdapter<Request, Response>,
  report: (request: Request, error: unknown) => void,
): void {
  const end = async (status: number | undefined): Promise<void> => {
    try {
      await hold.settle(status === undefined || isCounted(counts, { request, status }, report))
    } catch (error) {
      if (!isClosed(error)) report(request, error)
    }
  }
  if (framework.isFinished(response)) void end(undefined)
  else framework.onEnd(response, (status) => void end(status))
}

function isCounted<Request>(
  counts: Counts<Request>,
  outcome: Outcome<Request>,
  report: (request: Request, error: unknown) => void,
): boolean {
  try {
    const answer = toPromise<unknown>(counts(outcome))
    if (!(answer instanceof Promise)) return answer !== false
    // Left alone, one that rejects would end the process.
    answer.catch((error: unknown) => report(outcome.request, error))
    report(outcome.request, new TypeError('countWhen must answer at once, not with a promise'))
    return true
  } catch (error) {
    report(outcome.request, error)
    return true
  }
}
