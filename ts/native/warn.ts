/** What an operator of shared limiters wants to know of. docs/reference/warnings.md explains each code. */
export type SharedWarning =
  | 'RATETHROTTLE_SHARED_PRIVATE'
  | 'RATETHROTTLE_SHARED_SETTINGS'
  | 'RATETHROTTLE_SHARED_RENEWED'
  | 'RATETHROTTLE_SHARED_LOST'

/** As many names as one process may share. */
const MOST_TOLD = 1024
const told = new Set<string>()

/** Tells each thing once for each name. */
export function tell(code: SharedWarning, name: string, message: string): void {
  const what = `${code} ${name}`
  if (told.has(what) || told.size >= MOST_TOLD) return
  told.add(what)
  process.emitWarning(message, { type: 'RateThrottleWarning', code })
}
