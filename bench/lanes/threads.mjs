import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { newGate } from '../gate.mjs'
import { readTask, serveLane } from '../lane.mjs'
import { PROBE } from '../limits.mjs'

const THREADS = 2

const task = readTask()
const gate = newGate()
const workers = Array.from({ length: THREADS }, startWorker)

serveLane({ prepare, round })

/** Answers how many batches make a sample. */
async function prepare() {
  const probes = await askInTurn('probe')
  if (task.subject !== 'noop') {
    // One state for both: what the first thread used up, the second is denied.
    assert.deepEqual(probes, [PROBE.count, 0], 'the threads share one limit')
  }
  const [count] = await askInTurn('prepare')
  return count
}

/** Calls per second of all active threads together. */
async function round({ threads, count }) {
  gate.reset()
  const active = workers.slice(0, threads)
  const speeds = await Promise.all(active.map((worker) => ask(worker, 'round', { threads, count })))
  return speeds.reduce((sum, speed) => sum + speed, 0)
}

function startWorker(_, index) {
  const workerData = { ...task, index, cells: gate.cells }
  return new Worker(new URL('./thread.mjs', import.meta.url), { workerData })
}

async function askInTurn(verb) {
  const answers = []
  for (const worker of workers) answers.push(await ask(worker, verb))
  return answers
}

async function ask(worker, verb, body = {}) {
  worker.postMessage({ ...body, verb })
  const [{ value, error }] = await once(worker, 'message')
  if (error !== undefined) throw new Error(error)
  return value
}
