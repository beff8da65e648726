import type { Caller } from './options.ts'

interface Audience {
  readonly aborts: Set<() => void>
  readonly listener: () => void
}

const AUDIENCES = new WeakMap<AbortSignal, Audience>()

/** The caller who goes when the signal is aborted. However many wait on one signal, it has one listener. */
export function callerOf(signal: AbortSignal): Caller {
  return {
    get isGone() {
      return signal.aborted
    },
    watch: (gone) => onAbort(signal, gone),
  }
}

function onAbort(signal: AbortSignal, abort: () => void): () => void {
  const audience = AUDIENCES.get(signal) ?? newAudience()
  if (audience.aborts.size === 0) signal.addEventListener('abort', audience.listener)
  AUDIENCES.set(signal, audience)
  audience.aborts.add(abort)
  return () => {
    audience.aborts.delete(abort)
    if (audience.aborts.size === 0) signal.removeEventListener('abort', audience.listener)
  }
}

function newAudience(): Audience {
  const aborts = new Set<() => void>()
  const listener = (): void => {
    for (const abort of [...aborts]) abort()
  }
  return { aborts, listener }
}
