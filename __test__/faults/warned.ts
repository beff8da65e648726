import { setTimeout as pause } from 'node:timers/promises'

/** A warning of this package. */
export interface Warned {
  readonly code: string
  readonly message: string
}

/** Collects the warnings of this package from now on; those of a code can be waited for. */
export function warnings(): { readonly all: Warned[]; of(code: string): Promise<Warned[]> } {
  const all: Warned[] = []
  process.on('warning', (warning: Error & { code?: string }) => {
    if (warning.name !== 'RateThrottleWarning') return
    all.push({ code: warning.code ?? '', message: warning.message })
  })
  const of = async (code: string): Promise<Warned[]> => {
    const found = () => all.filter((one) => one.code === code)
    // Node emits them in a tick of their own; one that does not come is missed by the caller's assertion.
    for (let i = 0; i < 40 && found().length === 0; i++) await pause(5)
    return found()
  }
  return { all, of }
}
