import { readTask, serveLane } from '../lane.mjs'
import { CASES } from '../local-cases.mjs'
import { MixedRounds, SAMPLES_LONGER } from '../mixed-rounds.mjs'
import { TimedSubject } from '../timed-subject.mjs'

const task = readTask()
const { outcome } = CASES[task.case]
let subject
let mixed

serveLane({ prepare: outcome === 'mixed' ? prepareMixed : prepare, round })

/** Everything a subject needs before it is timed; answers the way its calls are driven. */
async function prepare() {
  subject = await TimedSubject.load(task.subject, CASES[task.case])
  return subject.warmUp()
}

/** Which way is faster depends on how many are denied, and the limit on how fast that way is. */
async function prepareMixed() {
  subject = await TimedSubject.load(task.subject, CASES[task.case])
  mixed = new MixedRounds(subject)
  await mixed.findLimit()
  const way = await subject.warmUp(SAMPLES_LONGER)
  await mixed.findLimit()
  return way
}

async function round() {
  if (mixed !== undefined) return mixed.round()
  const times = await subject.time()
  if (subject.decides) subject.batch.assertAnswers(outcome)
  return times
}
