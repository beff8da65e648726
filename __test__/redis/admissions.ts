import { readFileSync } from 'node:fs'

const RECORD_BYTES = 18

/** One admission, as recorded by the admitted process before it went on. */
export interface Admission {
  readonly key: number
  /** Whether onError admitted it, and not Redis. */
  readonly isLocal: boolean
  /** Microseconds of the monotonic clock of the host. */
  readonly start: number
  readonly end: number
}

/** Reads what all processes have written. */
export function readAdmissions(file: string): Admission[] {
  const bytes = readFileSync(file)
  const admissions: Admission[] = []
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    admissions.push({
      key: bytes.readUInt8(at),
      isLocal: bytes.readUInt8(at + 1) === 1,
      start: Number(bytes.readBigUInt64LE(at + 2)),
      end: Number(bytes.readBigUInt64LE(at + 10)),
    })
  }
  return admissions
}

/** The bounds that no window may exceed. */
export interface Bounds {
  readonly windowUs: number
  /** Units that Redis may admit in a window. */
  readonly exact: number
  /** Units that all fallbacks together may admit in a window. */
  readonly local: number
  /** When Redis lost its state: a window with n of these may hold 1 + n times `exact`. */
  readonly losses: readonly number[]
}

/** Windows that hold more than they may, and the fullest of those with no loss in it. */
export interface Verdict {
  readonly violations: number
  readonly fullestExact: number
  readonly fullestLocal: number
}

/**
 * Looks at every window that ends with an admission. An admission counts only if all of it lies within, so
 * what is found is proved; those that straddle an edge get the benefit of the doubt.
 */
export function judge(admissions: readonly Admission[], bounds: Bounds): Verdict {
  const verdict = { violations: 0, fullestExact: 0, fullestLocal: 0 }
  for (const key of new Set(admissions.map((admission) => admission.key))) {
    const mine = admissions.filter((admission) => admission.key === key)
    const [exact, local] = [mine.filter((a) => !a.isLocal), mine.filter((a) => a.isLocal)]
    for (const [end, count] of windows(exact, bounds.windowUs)) {
      const lost = bounds.losses.filter((at) => at > end - bounds.windowUs && at <= end).length
      if (count > (1 + lost) * bounds.exact) verdict.violations++
      if (lost === 0) verdict.fullestExact = Math.max(verdict.fullestExact, count)
    }
    for (const [, count] of windows(local, bounds.windowUs)) {
      if (count > bounds.local) verdict.violations++
      verdict.fullestLocal = Math.max(verdict.fullestLocal, count)
    }
  }
  return verdict
}

/** For each end of an admission, how many lie wholly in the window that ends there. */
function windows(admissions: readonly Admission[], windowUs: number): [number, number][] {
  const byEnd = [...admissions].sort((a, b) => a.end - b.end)
  const starts: number[] = []
  const found: [number, number][] = []
  let from = 0
  for (const { start, end } of byEnd) {
    starts.push(start)
    while ((starts[from] as number) < end - windowUs) from++
    // Starts are nearly in order: those out of it are counted apart.
    let count = 0
    for (let i = from; i < starts.length; i++) if ((starts[i] as number) >= end - windowUs) count++
    found.push([end, count])
  }
  return found
}
