import assert from 'node:assert/strict'
import { parentPort, workerData } from 'node:worker_threads'
import { BATCH, Batch } from '../batch.mjs'
import { gateOver } from '../gate.mjs'
import { FIRST_ID, idsFrom, inputsOf, shuffle } from '../keys.mjs'
import { answer } from '../lane.mjs'
import { admitLimit, DENY, PROBE } from '../limits.mjs'
import { calibrate, clock } from '../round.mjs'
import { loadSubject } from '../subjects.mjs'

const KEYS_PER_THREAD = 10_000
const KEYS = 2 * KEYS_PER_THREAD

const [kind, outcome] = workerData.case.split('-')
const gate = gateOver(workerData.cells)
const verbs = { probe, prepare, round }
let create
let limiter
let batch

parentPort.on('message', async ({ verb, ...body }) => {
  parentPort.postMessage(await answer(verbs[verb], body))
})

/** Stays open: the next thread has to find what this one used. */
async function probe() {
  create = await loadSubject(workerData.subject)
  const { take } = create({ ...PROBE, keys: 1, name: 'probe' })
  return Array.from({ length: PROBE.count }, () => take('probe')).filter(Boolean).length
}

async function prepare() {
  const limit = outcome === 'admit' ? admitLimit(kind === 'same' ? 1 : KEYS) : DENY
  limiter = create({ ...limit, keys: KEYS, name: 'bench' })
  const { timed, ascending } = inputsOf('stored', orderOf(kind))
  const { stored } = limiter.ways.direct
  const admitted = stored(ascending, 0, ascending.length)
  // The one shared key of the denied case was used up by the first thread.
  const taken = kind === 'same' && outcome === 'deny' && workerData.index > 0
  if (limiter.decides !== false) assert.equal(admitted, taken ? 0 : ascending.length)
  batch = new Batch(stored, timed)
  return calibrate(batch)
}

/**
 * Calls per second of this thread, started with the others. Who has measured goes on calling
 * until all have: no sample is taken while another thread already rests.
 */
async function round({ threads, count }) {
  gate.arrive(threads)
  const seconds = await clock(batch, count)
  gate.leave()
  while (!gate.allLeft(threads)) batch.run()
  if (limiter.decides !== false) batch.assertAnswers(outcome)
  return BATCH / seconds
}

/** One key for all threads, or ten thousand of its own for each. */
function orderOf(sharing) {
  if (sharing === 'same') return new Int32Array(BATCH).fill(FIRST_ID)
  return shuffle(idsFrom(FIRST_ID + workerData.index * KEYS_PER_THREAD, KEYS_PER_THREAD))
}
