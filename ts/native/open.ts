import type { OnMismatch } from '../options.ts'
import { printable } from '../validate.ts'
import type { Native } from './binding.ts'
import { tell } from './warn.ts'

/** What tells of other processes. */
type Counted = Pick<Native, 'stats' | 'wide'>

/** Why there may be no shared state: docs/reference/errors.md explains each. */
const TROUBLES: readonly unknown[] = [
  'SHARED_UNTRUSTED',
  'SHARED_MISMATCH',
  'SHARED_NO_SPACE',
  'SHARED_FAILED',
  'NOT_AVAILABLE',
]

/**
 * The limiter that processes share, or by choice one of this process's own where there is none to be had.
 *
 * @throws Error with one of the codes above
 */
export function openShared<O extends { name: string }, N extends Counted>(
  open: (options: O & { shared?: boolean }) => N,
  options: O,
  on: OnMismatch,
): N {
  try {
    const native = open({ ...options, shared: true })
    warnOfRivals(native, options.name)
    return native
  } catch (error) {
    if (on !== 'private' || !isTrouble(error)) throw error
    tell(
      'RATETHROTTLE_SHARED_PRIVATE',
      options.name,
      `the limiter ${printable(options.name)} counts in this process alone: ${error.message}`,
    )
    // The threads of this process still count together.
    return open({ ...options, name: `shared ${options.name}` })
  }
}

function isTrouble(error: unknown): error is Error {
  return TROUBLES.includes((error as { readonly code?: unknown } | null)?.code)
}

/** New settings are another state: while old processes run, both states admit. */
function warnOfRivals(native: Counted, name: string): void {
  native.stats()
  const [, , , rivals = 0] = native.wide
  if (rivals === 0) return
  tell(
    'RATETHROTTLE_SHARED_SETTINGS',
    name,
    `other processes share the limiter ${printable(name)} with other limits, algorithm, burst, blockFor or ` +
      'capacity; they and this one count apart until they end',
  )
}
