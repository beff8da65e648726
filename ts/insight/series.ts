import type { Clock } from '../clock.ts'
import type { NativeInsight } from '../native/binding.ts'
import type { Series, SeriesPoint, SeriesUnit } from './types.ts'

/** The rings of the addon: which one, how long its steps are, and how many can be asked for. */
export const STEPS: Readonly<Record<SeriesUnit, { ring: number; ms: number; most: number }>> = {
  second: { ring: 0, ms: 1_000, most: 599 },
  minute: { ring: 1, ms: 60_000, most: 1_439 },
  hour: { ring: 2, ms: 3_600_000, most: 719 },
}

/** What had been counted by some time. */
export interface Sums {
  readonly admitted: number
  readonly denied: number
  readonly dry: number
  readonly waited: number
}

/** Numbers of a step: admitted, denied, dry and waited. */
const FIELDS = 4
/** The code of the digit 0. What stands between numbers has a lower one. */
const ZERO = 48

/** The names of rows, by row: `kind` 0 for limits, 1 for routes. */
export function readNames(native: NativeInsight, kind: 0 | 1): Map<number, string> {
  const lines = linesOf(native.names('', kind))
  return new Map(
    lines.map((line) => {
      const end = line.indexOf(' ')
      return [Number(line.slice(0, end)), line.slice(end + 1)]
    }),
  )
}

/** Each limit over time. */
export function readSeries(
  native: NativeInsight,
  clock: Clock | undefined,
  unit: SeriesUnit,
  count: number,
): Series[] {
  const { ms } = STEPS[unit]
  const now = clock?.now() ?? Date.now()
  // Steps begin where the clock of the addon has whole ones.
  const shown = clock === undefined ? Number(process.hrtime.bigint() / 1_000n) / 1_000 : now
  const newest = Math.round(now - (shown % ms))
  return [...readNames(native, 0)].map(([row, limit]) => {
    const sums = sumsOf(native, row, unit, count, clock)
    const points: SeriesPoint[] = []
    for (let step = 1; step * FIELDS < sums.length; step++) {
      const at = newest - (count - step) * ms
      points.push({ at, ...difference(sums, step, step - 1) })
    }
    return { limit, unit, points }
  })
}

/** What a limit has counted in the last steps. */
export function countedSince(
  native: NativeInsight,
  row: number,
  sinceMs: number,
  clock: Clock | undefined,
): Sums {
  const unit = (['second', 'minute', 'hour'] as const).find(
    (one) => sinceMs <= STEPS[one].ms * STEPS[one].most,
  )
  const { ms, most } = STEPS[unit ?? 'hour']
  const steps = Math.max(1, Math.min(most, Math.ceil(sinceMs / ms)))
  const sums = sumsOf(native, row, unit ?? 'hour', steps, clock)
  return difference(sums, Math.max(0, sums.length / FIELDS - 1), 0)
}

/** What had been counted by the end of each step, and before them: {@link FIELDS} for each of `count` and one. */
function sumsOf(
  native: NativeInsight,
  row: number,
  unit: SeriesUnit,
  count: number,
  clock: Clock | undefined,
): number[] {
  const which = row * 8_192 + STEPS[unit].ring * 2_048 + count
  const text =
    clock === undefined ? native.series('', which) : native.series('', which, clock.now())
  return numbersIn(text)
}

/** The numbers of a text. A day of all limits is a megabyte: to split it would hold up requests for long. */
function numbersIn(text: string): number[] {
  const numbers: number[] = []
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO
    if (digit >= 0) value = value * 10 + digit
    else {
      numbers.push(value)
      value = 0
    }
  }
  return numbers
}

/** What was added between two steps. Never below 0: a file that replaces another begins at 0. */
function difference(sums: readonly number[], later: number, earlier: number): Sums {
  const [high, low] = [later * FIELDS, earlier * FIELDS]
  return {
    admitted: added(sums, high, low),
    denied: added(sums, high + 1, low + 1),
    dry: added(sums, high + 2, low + 2),
    waited: added(sums, high + 3, low + 3),
  }
}

function added(sums: readonly number[], later: number, earlier: number): number {
  return Math.max(0, (sums[later] ?? 0) - (sums[earlier] ?? 0))
}

/** The lines of a text that ends with a line's end. */
export function linesOf(text: string): string[] {
  return text === '' ? [] : text.slice(0, -1).split('\n')
}
