import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { countClocks, countInstructions, probeOf } from '../callgrind.mjs'
import { BARE, OURS, PLAIN, SEEN } from '../peers/http-answers.mjs'
import { report } from '../progress.mjs'
import { median, round2, spread } from '../spread.mjs'
import { TREE } from '../tree.mjs'
import { BASELINE, tables } from './instructions-tables.mjs'
import { assertSameBytes } from './same-bytes.mjs'

const HERE = join(import.meta.dirname, '../..')
/** Requests in a round. Express takes as long with fewer. */
const REQUESTS = { fastify: 2500, express: 1500 }
/** V8 compiles until then: around the 10,000th request it works for as long as for thousands of requests. */
const WARM_REQUESTS = 18_000
/** Clocks are read as often in the first thousands of requests as later. */
const CLOCK_TASK = { warm: 1000, requests: 2000 }

const ofFastify = [PLAIN, BARE, OURS, SEEN, '@fastify/rate-limit', 'rate-limiter-flexible', 'map']
const ofExpress = [PLAIN, BARE, OURS, SEEN, 'express-rate-limit', 'rate-limiter-flexible', 'map']

/** What a request costs a server in instructions, which no other load of the machine changes. */
export const instructions = {
  name: 'instructions',
  cases: {
    'fastify-admit': ofFastify,
    'fastify-deny': ofFastify,
    'express-admit': ofExpress,
    'express-deny': ofExpress,
  },
  rounds: 5,
  flags: ['tree', 'requests'],
  onlyByName: true,
  run,
  tables,
}

/** As many lanes at once as there are processors: a count of instructions is no matter of turns. */
async function* run({ cases, rounds, node, tree, requests }) {
  await assertSameBytes(cases, node)
  for (const { name, subjects } of cases) {
    const lanes = subjects.flatMap((subject) => lanesOf(name, subject, tree))
    const rows = await inParallel(lanes, (lane) => measure(lane, { rounds, requests, node }))
    for (const row of rows) yield withAdded(row, rows)
  }
}

function lanesOf(name, subject, tree) {
  const own = { name, subject, label: subject, tree: HERE }
  return subject === OURS && tree ? [own, { ...own, label: BASELINE, tree }] : [own]
}

async function measure({ name, subject, label, tree }, { rounds, requests, node }) {
  const [framework] = name.split('-')
  const each = requests ?? REQUESTS[framework]
  const task = { case: name, subject, warm: WARM_REQUESTS, requests: each, rounds }
  const env = { ...process.env, [TREE]: tree }
  report(`instructions ${name}: ${label}`)
  const started = Date.now()
  const counts = await countInstructions(task, { node, env })
  const reads = await readClocks({ ...task, ...CLOCK_TASK }, { node, env, tree })
  report(`instructions ${name}: ${label} took ${Math.round((Date.now() - started) / 1000)} s`)
  const { min, max } = spread(counts)
  return {
    suite: 'instructions',
    case: name,
    subject: label,
    perReq: Math.round(median(counts)),
    min: Math.round(min),
    max: Math.round(max),
    ...reads,
    rounds,
  }
}

/** Counted in the test build, since under callgrind the kernel's share of a reading is not seen. */
async function readClocks(task, { node, env, tree }) {
  const addon = probeOf(tree)
  if (addon === undefined && task.subject === OURS) {
    report('native clock readings are not counted: npm run build:probe')
  }
  const probe = addon === undefined ? {} : { NAPI_RS_NATIVE_LIBRARY_PATH: addon }
  const { js, exact, rough } = await countClocks(task, { node, env: { ...env, ...probe } })
  return {
    jsClockReads: round2(js),
    exactClockReads: round2(exact),
    roughClockReads: round2(rough),
  }
}

/** Over the answer by hand with the same headers, and over that without them. */
function withAdded(row, rows) {
  const over = (floor) => {
    const { perReq } = rows.find(({ subject }) => subject === floor) ?? {}
    return perReq === undefined ? undefined : row.perReq - perReq
  }
  if (row.subject === PLAIN) return row
  if (row.subject === BARE) return { ...row, addedOverPlain: over(PLAIN) }
  return { ...row, addedPerReq: over(BARE), addedOverPlain: over(PLAIN) }
}

async function inParallel(tasks, work) {
  const results = []
  let next = 0
  const worker = async () => {
    for (let index = next++; index < tasks.length; index = next++) {
      results[index] = await work(tasks[index])
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return results
}
