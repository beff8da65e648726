import type { Answer } from '../limiter.ts'

/** Whether the limiter was closed meanwhile: a server that shuts down still ends its requests. */
export function isClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'CLOSED'
}

/** Asks counters that may have been closed meanwhile: then there is no answer, and that is no error. */
export function unlessClosed<T>(ask: () => Answer<T>): Answer<T | undefined> {
  try {
    const answer = ask()
    return answer instanceof Promise ? answer.catch(none) : answer
  } catch (error) {
    return none(error)
  }
}

/** @throws the error, if it is another */
function none(error: unknown): undefined {
  if (!isClosed(error)) throw error
}
