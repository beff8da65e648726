import assert from 'node:assert/strict'
import { BATCH, Batch } from '../batch.mjs'
import { FIRST_ID, idsFrom, inputsOf, shuffle } from '../keys.mjs'
import { readTask, serveLane } from '../lane.mjs'
import { CASES } from '../local-cases.mjs'
import { assertCounts } from '../probe.mjs'
import { calibrate, clock } from '../round.mjs'
import { loadSubject } from '../subjects.mjs'

const TRIAL_BATCHES = 100
const TRIALS = 3

const task = readTask()
const { keys, form, outcome, limit } = CASES[task.case]
let limiter
let batch
let count

serveLane({ prepare, round })

/** Everything a subject needs before it is timed; answers the way its calls are driven. */
async function prepare() {
  const create = await loadSubject(task.subject)
  await assertCounts(task.subject, create)
  limiter = await create({ ...limit, keys })
  const { timed, ascending } = inputsOf(form, orderOf())
  await useOnce(ascending)
  const [way, loops] = await fastestWay(timed)
  batch = new Batch(loops[form], timed)
  count = await calibrate(batch)
  return way
}

async function round() {
  const seconds = await clock(batch, count)
  if (limiter.decides !== false) batch.assertAnswers(outcome)
  return (seconds * 1e9) / BATCH
}

/** One key, or two in turn, are a batch of ids, so that every case runs the same loop. */
function orderOf() {
  if (keys <= 2) return new Int32Array(BATCH).map((_, index) => FIRST_ID + (index % keys))
  return shuffle(idsFrom(FIRST_ID, keys))
}

/** Before the clock starts every key is live, and in the denied cases used up. */
async function useOnce(inputs) {
  const [loops] = Object.values(limiter.ways)
  let admitted = 0
  for (let start = 0; start < inputs.length; start += BATCH) {
    admitted += await loops[form](inputs, start, Math.min(start + BATCH, inputs.length))
  }
  if (limiter.decides !== false) assert.equal(admitted, inputs.length, 'every key admitted once')
}

/** A promise can be awaited or left to settle in a burst: each rival is timed in its faster way. */
async function fastestWay(inputs) {
  const ways = Object.entries(limiter.ways)
  if (ways.length === 1) return ways[0]
  const seconds = ways.map(() => Number.POSITIVE_INFINITY)
  for (let trial = 0; trial < TRIALS; trial++) {
    for (const [index, [, loops]] of ways.entries()) {
      seconds[index] = Math.min(seconds[index], await tryOut(new Batch(loops[form], inputs)))
    }
  }
  return ways[seconds.indexOf(Math.min(...seconds))]
}

async function tryOut(trial) {
  const start = performance.now()
  for (let turn = 0; turn < TRIAL_BATCHES; turn++) await trial.run()
  return (performance.now() - start) / 1000
}
