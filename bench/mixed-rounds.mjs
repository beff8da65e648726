import { correctedCount, countFor, DENIED, isAsked, mixLimit, WINDOW_MS } from './mix.mjs'

/** After so long the share that is denied no longer changes; it is then taken over as long again. */
const SETTLE_MS = 4 * WINDOW_MS
const ATTEMPTS = 6
const CLOSE = 0.005
/** A sample lasts 40 ms elsewhere, and here a window. */
export const SAMPLES_LONGER = WINDOW_MS / 40

/** Rounds of a subject under the limit with which it denies, at its own speed, the share that is asked for. */
export class MixedRounds {
  #subject
  #count = 0

  constructor(subject) {
    this.#subject = subject
  }

  async findLimit() {
    if (!this.#subject.decides) return
    const { calls } = await this.#observe()
    this.#count = countFor((calls / SETTLE_MS) * WINDOW_MS)
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      await this.#subject.open(mixLimit(this.#count))
      const { denied } = await this.#observe()
      if (Math.abs(denied - DENIED.aim) < CLOSE) return
      this.#count = correctedCount(this.#count, denied)
    }
  }

  /** A round that denied another share has run at another speed: it is repeated, under another limit. */
  async round() {
    const subject = this.#subject
    for (let attempt = 1; ; attempt++) {
      await subject.runFor(SETTLE_MS)
      subject.batch.restart()
      const times = await subject.time()
      const { denied } = subject.batch
      if (!subject.decides) return times
      if (isAsked(denied)) return { ...times, denied }
      if (attempt === ATTEMPTS) throw new Error(`denied ${denied} of the calls`)
      this.#count = correctedCount(this.#count, denied)
      await subject.open(mixLimit(this.#count))
    }
  }

  async #observe() {
    const subject = this.#subject
    await subject.runFor(SETTLE_MS)
    subject.batch.restart()
    await subject.runFor(SETTLE_MS)
    return subject.batch
  }
}
