import { isClosed } from './errors.ts'

/** What a call answers: at once where the counters are in this process, else as a promise. */
export type MaybePromise<T> = T | Promise<T>

/** Calls `next` with the value: at once where it is there, so that no request waits for a needless promise. */
export function andThen<T, R>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/**
 * What a user's function returned: a value as it is, a promise or another thenable as a real promise. Reads
 * and calls its `then` at most once.
 */
export function toPromise<T>(value: T | PromiseLike<T>): MaybePromise<T> {
  return isThenable(value) ? Promise.resolve(value) : value
}

/**
 * Settles as `promise` does, or rejects after `ms`. A promise that settles later, or rejects later, is ignored.
 *
 * @param what names the work in the error, or makes another error
 */
export function withTimeout<T>(
  promise: Promise<T>,
  ms: number,
  what: string | (() => Error),
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(typeof what === 'string' ? new Error(`${what} took longer than ${ms} ms`) : what())
    }, ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** What `ask` gives, or `undefined` if the limiter it asks was closed meanwhile. */
export function unlessClosed<T>(ask: () => MaybePromise<T>): MaybePromise<T | undefined> {
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

/** Whether it has a `then`: users' functions may answer with promises of another library or realm. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject && 'then' in value && typeof value.then === 'function'
}
