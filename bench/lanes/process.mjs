import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { FIRST_ID, idsFrom, inputsOf, shuffle } from '../keys.mjs'
import { answer } from '../lane.mjs'
import { admitLimit, DENY, PROBE } from '../limits.mjs'
import { loadSubject } from '../subjects.mjs'

const KEYS_PER_PROCESS = 10_000
const KEYS = 2 * KEYS_PER_PROCESS
const BATCH = 1_000
const IN_FLIGHT = 16
const ROUND_NS = 150_000_000n

const { subject, name, index, url, case: caseName } = JSON.parse(process.env.TASK)
const [kind, outcome] = caseName.split('-')
const verbs = { probe, prepare, round, end }
const opened = []
let run

process.on('message', async ({ verb, ...body }) => {
  if (!Object.hasOwn(verbs, verb)) return
  const reply = await answer(verbs[verb], body)
  process.send({ ...reply, bench: true })
})

// A message that came before the listener would be lost.
process.send({ bench: true })

async function open(limit, what) {
  const create = await loadSubject(subject)
  const limiter = await create({ ...limit, name: `${name} ${what}`, url })
  opened.push(limiter)
  return limiter
}

/** Stays open: the next process has to find what this one used. */
async function probe() {
  const { take } = await open({ ...PROBE, keys: 1 }, 'probe')
  let admitted = 0
  for (let i = 0; i < PROBE.count; i++) if (await take('probe')) admitted++
  return admitted
}

async function prepare() {
  const limit = outcome === 'admit' ? admitLimit(kind === 'same' ? 1 : KEYS) : DENY
  const { take, ways } = await open({ ...limit, keys: KEYS }, 'run')
  const { timed: keys, ascending } = inputsOf('stored', orderOf())
  for (const key of ascending) await take(key)
  run = ways === undefined ? inFlight(take, keys) : inTurn(ways.direct.stored, keys)
  await run()
}

/** Calls per second of this process, from an instant on that all of them were told. */
async function round({ startNs }) {
  const start = BigInt(startNs)
  while (process.hrtime.bigint() < start);
  let [calls, admitted, now] = [0, 0, start]
  while (now < start + ROUND_NS) {
    admitted += await run()
    calls += BATCH
    now = process.hrtime.bigint()
  }
  assert.equal(admitted, outcome === 'admit' ? calls : 0, 'every call has one right answer')
  return (calls * 1e9) / Number(now - start)
}

function inTurn(stored, keys) {
  let next = 0
  return () => {
    const start = next
    next = (next + BATCH) % keys.length
    return stored(keys, start, start + BATCH)
  }
}

function inFlight(take, keys) {
  let next = 0
  return async () => {
    let [left, admitted] = [BATCH, 0]
    const one = async () => {
      while (left-- > 0) {
        const key = keys[next]
        next = (next + 1) % keys.length
        if (await take(key)) admitted++
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, one))
    return admitted
  }
}

/** One key for all processes, or ten thousand of its own for each. */
function orderOf() {
  if (kind === 'same') return new Int32Array(BATCH).fill(FIRST_ID)
  return shuffle(idsFrom(FIRST_ID + index * KEYS_PER_PROCESS, KEYS_PER_PROCESS))
}

/** The last one removes what would outlive the benchmark. */
async function end() {
  await Promise.all(opened.map((limiter) => limiter.close?.()))
  if (subject !== 'ratethrottle.shared' || index === 0) return process.exit()
  await new Promise((resolve) => setTimeout(resolve, 100))
  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
  for (const what of ['probe', 'run']) {
    execFileSync(process.execPath, [main, 'shared', 'remove', `${name} ${what}`])
  }
  return process.exit()
}
