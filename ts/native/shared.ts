import { printable } from '../validate.ts'
import type { Native } from './binding.ts'
import { tell } from './warn.ts'

/**
 * How long processes may count apart after somebody has removed the file they share, as systemd does at
 * log-out. Nothing on the way of a request depends on it.
 */
const EVERY_MS = 2_000

type Renewable = Pick<Native, 'renew' | 'wide'>

/** What the native side answers, see `Tie` there. */
const RENEWED = 1
const LOST = 2

/**
 * Looks now and then whether the limiter is still what other processes find, and attaches it anew if not.
 *
 * Keeps neither the process nor the limiter alive.
 *
 * @param keeper what is held by all who use the limiter
 * @param onRenewed the native side has forgotten the last key
 * @returns a function that ends it
 */
export function watchShared(
  native: Renewable,
  keeper: object,
  name: string,
  onRenewed: () => void,
): () => void {
  const found = { native, onRenewed }
  keepers.set(keeper, found)
  const watched = new WeakRef(found)
  const timer = setInterval(() => {
    const held = watched.deref()
    if (held === undefined) clearInterval(timer)
    else look(held.native, name, held.onRenewed)
  }, EVERY_MS)
  timer.unref()
  return () => clearInterval(timer)
}

const keepers = new WeakMap<object, object>()

function look(native: Renewable, name: string, onRenewed: () => void): void {
  native.renew()
  const [tie] = native.wide
  if (tie === RENEWED) {
    onRenewed()
    tell(
      'RATETHROTTLE_SHARED_RENEWED',
      name,
      `somebody removed what processes share as ${printable(name)}; they share a new state now, and what ` +
        'was counted until then is forgotten',
    )
  } else if (tie === LOST) {
    tell(
      'RATETHROTTLE_SHARED_LOST',
      name,
      `what processes share as ${printable(name)} is gone and can't be had anew; this process counts for ` +
        'itself until it can: see "npx ratethrottle shared list"',
    )
  }
}
