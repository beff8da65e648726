import { isClosed } from './errors.ts'
import type { Answer } from './limiter.ts'

/** Goes on at once with what is here at once: no request waits for a promise that nobody needed. */
export function then<T, R>(answer: Answer<T>, next: (value: T) => Answer<R>): Answer<R> {
  return answer instanceof Promise ? answer.then(next) : next(answer)
}

/** Whatever a user's function returned, as a value or as a real promise. Never runs `then` twice. */
export function settle<T>(answer: T | PromiseLike<T>): Answer<T> {
  return isThenable(answer) ? Promise.resolve(answer) : answer
}

/**
 * The promise, but no longer than `ms`. Whether it settles late or never, nobody waits for it.
 *
 * @param what names it in the error
 */
export function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error(`${what} took longer than ${ms} ms`))
    const timer = setTimeout(late, ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** What `ask` gives, or `undefined` if the limiter it asks was closed meanwhile. */
export function unlessClosed<T>(ask: () => Answer<T>): Answer<T | undefined> {
  try {
    const answer = ask()
    return answer instanceof Promise ? answer.catch(ignoreClosed) : answer
  } catch (error) {
    return ignoreClosed(error)
  }
}

/** @throws the error, if it is another */
function ignoreClosed(error: unknown): undefined {
  if (!isClosed(error)) throw error
}

function isThenable<T>(answer: T | PromiseLike<T>): answer is PromiseLike<T> {
  if (typeof answer !== 'object' || answer === null) return false
  return 'then' in answer && typeof answer.then === 'function'
}
