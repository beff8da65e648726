import { RateLimitExceeded } from '../errors.ts'
import type { MaybePromise } from '../limiter.ts'
import type { LimiterContext } from './charge.ts'
import type { Exchange } from './charge-record.ts'
import { answer, notOpen, type Refusal } from './response.ts'

/**
 * Answers a refused request as the options say, else has it handed on: once, in either case. A handler of the
 * user's that fails has not answered; its error goes to `onError`, not to the client.
 *
 * @param handOn passes the refusal to the framework's error handling, or answers it
 */
export function refuse(
  context: LimiterContext,
  refusal: Refusal,
  { request, response }: Pick<Exchange, 'request' | 'response'>,
  handOn: () => void,
): MaybePromise<void> {
  notOpen(refusal)
  const { adapter, events } = context
  const answered = (isAnswered: boolean): void => {
    if (!isAnswered) handOn()
  }
  const failed = (error: unknown): void => {
    // A handler that throws the error it was given does not want to answer.
    if (!(error instanceof RateLimitExceeded)) events.failed(request, error)
    if (adapter.isFinished(response)) adapter.cut(response)
    else handOn()
  }
  try {
    const isAnswered = answer(context, refusal, request, response)
    if (isAnswered instanceof Promise) return isAnswered.then(answered, failed)
    if (isAnswered) return
  } catch (error) {
    return failed(error)
  }
  return handOn()
}
