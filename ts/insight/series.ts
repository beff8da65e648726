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

const NONE: Sums = { admitted: 0, denied: 0, dry: 0, waited: 0 }

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
    const points = sums.slice(1).map((sum, i): SeriesPoint => {
      const at = newest - (count - 1 - i) * ms
      return { at, ...difference(sum, sums[i] ?? NONE) }
    })
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
  return difference(sums.at(-1) ?? NONE, sums[0] ?? NONE)
}

/** What had been counted by the end of each step, and before them: one more than `count`. */
function sumsOf(
  native: NativeInsight,
  row: number,
  unit: SeriesUnit,
  count: number,
  clock: Clock | undefined,
): Sums[] {
  const which = row * 8_192 + STEPS[unit].ring * 2_048 + count
  const text =
    clock === undefined ? native.series('', which) : native.series('', which, clock.now())
  return linesOf(text).map((line) => {
    const [admitted = 0, denied = 0, dry = 0, waited = 0] = line.split(' ').map(Number)
    return { admitted, denied, dry, waited }
  })
}

/** Never below 0: a file that was made anew begins at 0. */
function difference(later: Sums, earlier: Sums): Sums {
  const of = (field: keyof Sums): number => Math.max(0, later[field] - earlier[field])
  return { admitted: of('admitted'), denied: of('denied'), dry: of('dry'), waited: of('waited') }
}

/** The lines of a text that ends with a line's end. */
export function linesOf(text: string): string[] {
  return text === '' ? [] : text.slice(0, -1).split('\n')
}
