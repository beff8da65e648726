import { FIRST_ID, idsFrom, seededRandom, shuffle } from './keys.mjs'

/** Callers of the mix, and the calls that are drawn from them: the loop goes round and round through these. */
export const MIX_KEYS = 100_000
const DRAWS = 1_000_000
const SEED = 0x6d697865

/** The share of the calls that is to be denied; a round outside of `least` to `most` does not count. */
export const DENIED = { least: 0.08, aim: 0.1, most: 0.12 }

/** A tenth of a second: a round then spans several windows, and few calls are the first in their window. */
export const WINDOW_MS = 100

/** Zipf's law with exponent 1: the caller of rank r makes 1/r as many calls as the busiest one. */
const weights = Array.from({ length: MIX_KEYS }, (_, rank) => 1 / (rank + 1))
const total = weights.reduce((sum, weight) => sum + weight, 0)

/** The drawn ids, the same for every subject and every run. Neighbours in rank are none in their ids. */
export function drawMix() {
  const ids = shuffle(idsFrom(FIRST_ID, MIX_KEYS))
  const upTo = new Float64Array(MIX_KEYS)
  let sum = 0
  for (const [rank, weight] of weights.entries()) upTo[rank] = sum += weight / total
  const random = seededRandom(SEED)
  return Int32Array.from({ length: DRAWS }, () => ids[firstAbove(upTo, random())])
}

/**
 * The count that denies a tenth of `calls` in a window: that much of the busiest callers' calls lies above it.
 */
export function countFor(calls) {
  let above = 0
  for (let busy = 1; ; busy++) {
    above += weights[busy - 1] / total
    const share = (above - DENIED.aim) / busy
    if (share >= weights[busy] / total) return atLeastOne(share * calls)
  }
}

/** Another count, after one that denied too many or too few: 1 % more of it denies 1/12 % of the calls less. */
export const correctedCount = (count, denied) =>
  atLeastOne(count * Math.exp((denied - DENIED.aim) * total))

export const isAsked = (denied) => denied >= DENIED.least && denied <= DENIED.most

export const mixLimit = (count) => ({
  count,
  windowMs: WINDOW_MS,
  text: `${count}/${WINDOW_MS} ms`,
})

const atLeastOne = (count) => Math.max(1, Math.round(count))

function firstAbove(sums, value) {
  let [low, high] = [0, sums.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sums[middle] > value) high = middle
    else low = middle + 1
  }
  return low
}
