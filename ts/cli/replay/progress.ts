import type { Writable } from 'node:stream'
import type { Run } from './run.ts'
import { figure } from './screen.ts'

/** Progress is printed at most ten times a second. */
const EVERY_MS = 100
const CLEAR_LINE = '\r\u001b[K'

/** Prints how far a run is, on one line that is cleared at the end. */
export class Progress {
  readonly #run: Run
  readonly #out: Writable
  readonly #startMs: number = performance.now()
  /** Not 0: the clock begins with the process, which may read its first lines sooner than after {@link EVERY_MS}. */
  #shownMs = Number.NEGATIVE_INFINITY

  constructor(run: Run, out: Writable) {
    this.#run = run
    this.#out = out
  }

  /** Prints, unless it has just done so. */
  tick(): void {
    const now = performance.now()
    if (now - this.#shownMs < EVERY_MS) return
    this.#shownMs = now
    this.#out.write(`${CLEAR_LINE}${progressText(this.#run, (now - this.#startMs) / 1_000)}`)
  }

  end(): void {
    if (Number.isFinite(this.#shownMs)) this.#out.write(CLEAR_LINE)
  }
}

/** @param seconds since the run began */
export function progressText({ sources, counts }: Run, seconds: number): string {
  const read = sources.reduce((sum, source) => sum + source.read, 0)
  const isKnown = sources.every((source) => source.size > 0)
  const size = sources.reduce((sum, source) => sum + source.size, 0)
  const speed = `${figure(Math.round(counts.lines / Math.max(seconds, 0.001)))} lines/s`
  const lines = `${figure(counts.lines)} lines, ${speed}`
  if (!isKnown || read === 0) return `${mebibytes(read)} read, ${lines}`
  const left = Math.ceil(Math.max(0, (seconds * (size - read)) / read))
  const share = Math.min(100, Math.floor((100 * read) / size))
  return `${share} % of ${mebibytes(size)}, ${lines}, ${left} s left`
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}
