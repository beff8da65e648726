import type { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { ConcurrencyStats } from 'ratethrottle'

const require = createRequire(join(process.cwd(), 'package.json'))

interface Opener {
  openAnywhere(...of: readonly unknown[]): { stats(): ConcurrencyStats }
}

/** What adapters opened to count permits in, since the last call of {@link forget}. */
const opened: { stats(): ConcurrencyStats }[] = []
/** Timers that were made by this package, with those that keep no process alive. */
let timers: NodeJS.Timeout[] = []

/** Has the permits and the timers of adapters noted that are opened from now on: adapters show neither. */
export function watch(): void {
  const opener = require('./dist/permits/create.js') as Opener
  const { openAnywhere } = opener
  opener.openAnywhere = (...of) => {
    const permits = openAnywhere(...of)
    opened.push(permits)
    return permits
  }
  for (const name of ['setTimeout', 'setInterval'] as const) {
    const make = globalThis[name] as (...of: unknown[]) => NodeJS.Timeout
    const noting = (...of: unknown[]): NodeJS.Timeout => {
      const made = make(...of)
      // The line below this function's own.
      if (/\n.*\n.*\/dist\//.test(new Error().stack ?? '')) timers.push(made)
      return made
    }
    Object.assign(globalThis, { [name]: Object.assign(noting, make) })
  }
}

export function forget(): void {
  opened.length = 0
  timers = []
}

/** The counts of all permits together. */
export function permits(): Pick<ConcurrencyStats, 'held' | 'waiting' | 'admitted'> {
  const all = opened.map((one) => one.stats())
  const sum = (name: 'held' | 'waiting' | 'admitted'): number =>
    all.reduce((total, stats) => total + stats[name], 0)
  return { held: sum('held'), waiting: sum('waiting'), admitted: sum('admitted') }
}

/** How many timers there are: those that keep the process alive, and those of this package. */
export function countTimers(): { readonly alive: number; readonly own: number } {
  timers = timers.filter((one) => !(one as unknown as { _destroyed: boolean })._destroyed)
  const alive = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  return { alive, own: timers.length }
}

/** How many listeners each of the emitters has, by event. */
export function listeners(emitters: readonly EventEmitter[]): readonly string[] {
  return emitters.map((one) => {
    const counts = one.eventNames().map((name) => `${String(name)}: ${one.listenerCount(name)}`)
    return `${one.constructor.name} ${counts.sort().join(', ')}`
  })
}
