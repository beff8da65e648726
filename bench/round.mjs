import Benchmark from 'benchmark'

const SAMPLE_SECONDS = 0.04
const SAMPLES = 4
const CALIBRATIONS = 6

/**
 * `benchmark` raises its count until a sample is long enough, anew in every run. Here it does so
 * while the subject warms up; the rounds then use one fixed count, so that all do the same work.
 */
export async function calibrate(batch) {
  let count = 1
  let least = Number.POSITIVE_INFINITY
  for (let turn = 0; turn < CALIBRATIONS; turn++) {
    const bench = await run(batch, { initCount: count, minTime: SAMPLE_SECONDS, minSamples: 1 })
    // The least of several: one slow moment must not shorten every round that follows.
    least = Math.min(least, bench.times.period)
    count = Math.max(1, Math.ceil(SAMPLE_SECONDS / least))
  }
  return count
}

/**
 * One round: samples of `count` batches; answers seconds per batch. The first sample isn't
 * counted: it brings back to the caches what the lanes before this one drove out.
 */
export async function clock(batch, count) {
  const bench = await run(batch, { initCount: count, minTime: 1e-9, minSamples: 1 + SAMPLES })
  const counted = bench.stats.sample.slice(1)
  return counted.reduce((sum, seconds) => sum + seconds, 0) / counted.length
}

/**
 * `setup` and `teardown` stay unused: with them `benchmark` recompiles the function from its
 * source text, where it has lost its closure. `maxTime` -1 ends a run at its last wanted sample.
 * `delay` rests between the samples of promise subjects only, and made them up to a fifth slower
 * than a loop by hand; without it both agree.
 */
function run(batch, options) {
  return new Promise((resolve, reject) => {
    let failure
    const bench = new Benchmark({
      ...options,
      ...driver(batch, (error) => {
        failure = error
      }),
      maxTime: -1,
      delay: 0,
      onComplete: () => (failure ? reject(failure) : resolve(bench)),
    })
    bench.run()
  })
}

/**
 * The harness calls a function again when it throws, and knows nothing of rejected promises:
 * an error is kept here instead and fails the run.
 */
function driver({ run: runBatch, isAsync }, fail) {
  if (isAsync) {
    return {
      defer: true,
      fn: (deferred) =>
        runBatch()
          .catch(fail)
          .then(() => deferred.resolve()),
    }
  }
  return {
    fn: () => {
      try {
        runBatch()
      } catch (error) {
        fail(error)
      }
    },
  }
}
