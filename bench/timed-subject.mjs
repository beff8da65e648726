import assert from 'node:assert/strict'
import { BATCH, Batch } from './batch.mjs'
import { inputsOf } from './keys.mjs'
import { assertCounts } from './probe.mjs'
import { calibrate, clock } from './round.mjs'
import { loadSubject } from './subjects.mjs'

const TRIAL_BATCHES = 100
const TRIALS = 3

/** One subject of suite `local` in one of its cases, in a process of its own. */
export class TimedSubject {
  #create
  #form
  #keys
  #inputs
  #limiter
  #way
  /** Batches in a sample. */
  #count = 0
  batch

  /** Loads it, has it show that it counts, and opens it under the case's limit. */
  static async load(name, { keys, form, limit, order }) {
    const create = await loadSubject(name)
    await assertCounts(name, create)
    const subject = new TimedSubject(create, { keys, form, inputs: inputsOf(form, order(keys)) })
    await subject.open(limit)
    return subject
  }

  constructor(create, { keys, form, inputs }) {
    this.#create = create
    this.#keys = keys
    this.#form = form
    this.#inputs = inputs
  }

  /** Whether its answers mean anything. */
  get decides() {
    return this.#limiter.decides !== false
  }

  /** Opens it, again perhaps, under this limit. Then every key is live, and in the denied cases used up. */
  async open(limit) {
    await this.#limiter?.close()
    this.#limiter = await this.#create({ ...limit, keys: this.#keys })
    await this.#useOnce(this.#inputs.ascending)
    this.#drive(this.#way ?? Object.keys(this.#limiter.ways)[0])
  }

  /** Picks the way to drive it and how many batches make a sample; answers the name of the way. */
  async warmUp(samplesLonger = 1) {
    this.#way = await this.#fastestWay()
    this.#drive(this.#way)
    this.#count = Math.ceil((await calibrate(this.batch)) * samplesLonger)
    return this.#way
  }

  /** One round: nanoseconds of a call, and those that the processor spent on it for this process. */
  async time() {
    const [calls, cpu] = [this.batch.calls, process.cpuUsage()]
    const seconds = await clock(this.batch, this.#count)
    const { user, system } = process.cpuUsage(cpu)
    const cpuNanos = ((user + system) * 1000) / (this.batch.calls - calls)
    return { nanos: (seconds * 1e9) / BATCH, cpuNanos }
  }

  async runFor(ms) {
    const start = performance.now()
    while (performance.now() - start < ms) await this.batch.run()
  }

  #drive(way) {
    this.batch = new Batch(this.#limiter.ways[way][this.#form], this.#inputs.timed)
  }

  async #useOnce(inputs) {
    const [loops] = Object.values(this.#limiter.ways)
    let admitted = 0
    for (let start = 0; start < inputs.length; start += BATCH) {
      const end = Math.min(start + BATCH, inputs.length)
      admitted += await loops[this.#form](inputs, start, end)
    }
    if (this.decides) assert.equal(admitted, inputs.length, 'every key admitted once')
  }

  /** A promise can be awaited or left to settle in a burst: each rival is timed in its faster way. */
  async #fastestWay() {
    const ways = Object.entries(this.#limiter.ways)
    const seconds = ways.map(() => Number.POSITIVE_INFINITY)
    for (let trial = 0; ways.length > 1 && trial < TRIALS; trial++) {
      for (const [index, [, loops]] of ways.entries()) {
        const took = await tryOut(new Batch(loops[this.#form], this.#inputs.timed))
        seconds[index] = Math.min(seconds[index], took)
      }
    }
    return ways[seconds.indexOf(Math.min(...seconds))][0]
  }
}

async function tryOut(trial) {
  const start = performance.now()
  for (let turn = 0; turn < TRIAL_BATCHES; turn++) await trial.run()
  return (performance.now() - start) / 1000
}
