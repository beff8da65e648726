import { keyOf } from './keys.mjs'

/**
 * A loop asks about `ids[start..end)` or `keys[start..end)` and answers how many were admitted.
 *
 * Why the loops look as they do:
 * 1. The answer is counted, so the engine can't drop the call; the lane checks the sum.
 * 2. `fresh` makes its key from a number read in the loop. From a number outside it the compiler
 *    could make the string once and lift it out.
 * 3. Each process times one subject, so the call in the loop has one target and can be inlined.
 */
export function syncLoops(take) {
  return {
    stored(keys, start, end) {
      let admitted = 0
      for (let index = start; index < end; index++) if (take(keys[index])) admitted++
      return admitted
    },
    fresh(ids, start, end) {
      let admitted = 0
      for (let index = start; index < end; index++) if (take(keyOf(ids[index]))) admitted++
      return admitted
    },
  }
}

/** One call at a time, as a request handler does. Usually the fastest way when admitted. */
export function awaitedLoops(api) {
  return {
    async stored(keys, start, end) {
      let admitted = 0
      for (let index = start; index < end; index++) {
        try {
          if (api.admits(await api.ask(keys[index]))) admitted++
        } catch (reason) {
          api.refuses(reason)
        }
      }
      return admitted
    },
    async fresh(ids, start, end) {
      let admitted = 0
      for (let index = start; index < end; index++) {
        try {
          if (api.admits(await api.ask(keyOf(ids[index])))) admitted++
        } catch (reason) {
          api.refuses(reason)
        }
      }
      return admitted
    },
  }
}

/**
 * All calls of a batch at once, settled by `then(admit, deny)`. Usually the fastest way when denied.
 * The peers settle their promises in the order of the calls, so the last one ends the batch.
 */
export function burstLoops(api) {
  return {
    async stored(keys, start, end) {
      const tally = new Tally(api)
      let last
      for (let index = start; index < end; index++) {
        last = api.ask(keys[index]).then(tally.admit, tally.deny)
      }
      await last
      return tally.admitted
    },
    async fresh(ids, start, end) {
      const tally = new Tally(api)
      let last
      for (let index = start; index < end; index++) {
        last = api.ask(keyOf(ids[index])).then(tally.admit, tally.deny)
      }
      await last
      return tally.admitted
    },
  }
}

/** Counts a burst; its two functions are made once for a batch, not once for a call. */
class Tally {
  admitted = 0

  constructor(api) {
    this.admit = (value) => {
      if (api.admits(value)) this.admitted++
    }
    this.deny = api.refuses
  }
}
