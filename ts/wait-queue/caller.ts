import type { Caller } from './types.ts'

/** What to call when a signal is aborted. However many wait on a signal, it has one listener. */
const WAITS = new WeakMap<AbortSignal, Set<() => void>>()

/** A caller who goes when the signal is aborted. */
export function callerOf(signal: AbortSignal): Caller {
  const watch = (gone: () => void): (() => void) => {
    const waits = WAITS.get(signal) ?? new Set()
    if (waits.size === 0) signal.addEventListener('abort', onAbort)
    WAITS.set(signal, waits.add(gone))
    return () => {
      waits.delete(gone)
      if (waits.size === 0) signal.removeEventListener('abort', onAbort)
    }
  }
  return {
    get isGone() {
      return signal.aborted
    },
    watch,
  }
}

function onAbort(this: AbortSignal): void {
  for (const gone of [...(WAITS.get(this) ?? [])]) gone()
}
