import { isClosed } from '../errors.ts'
import { toPromise } from '../limiter.ts'
import { invalid } from '../validate.ts'
import type { LimiterContext } from './adapter.ts'
import type { Exchange } from './charge-record.ts'
import type { ProvisionalCharge } from './provisional-charge.ts'

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
export type Counts<Request> = (outcome: Outcome<Request>) => boolean

const NAMED: ReadonlyMap<unknown, Counts<unknown>> = new Map([
  ['failure', ({ status }: Outcome<unknown>) => status >= 400],
  ['success', ({ status }: Outcome<unknown>) => status < 400],
])

/** @throws TypeError unless it is a {@link CountWhen}; `undefined` and `'always'`: every request counts */
export function readCountWhen<Request>(value: unknown): Counts<Request> | undefined {
  if (value === undefined || value === 'always') return undefined
  if (typeof value === 'function') return value as Counts<Request>
  const named = NAMED.get(value)
  if (named !== undefined) return named
  const accepted = '"always", "failure", "success" or a function'
  throw invalid(TypeError, 'INVALID_OPTION', 'countWhen', accepted, value)
}

/**
 * Settles a provisional charge when the response ends. A request counts if its client disconnects first, and if
 * `counts` fails.
 */
export function settleOnResponseEnd<Request extends object, Response extends object>(
  context: LimiterContext<Request, Response>,
  charge: ProvisionalCharge,
  counts: Counts<Request>,
  { request, response }: Exchange<Request, Response>,
): void {
  const { adapter, events } = context
  const settle = async (status: number | undefined): Promise<void> => {
    try {
      const isCounted = status === undefined || shouldCount(context, counts, { request, status })
      await charge.settle(isCounted)
    } catch (error) {
      if (!isClosed(error)) events.failed(request, error)
    }
  }
  if (adapter.isFinished(response)) void settle(undefined)
  else adapter.onEnd(response, (status) => void settle(status))
}

function shouldCount<Request extends object, Response extends object>(
  { events }: LimiterContext<Request, Response>,
  counts: Counts<Request>,
  outcome: Outcome<Request>,
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
