// Serves requests to itself. Under callgrind each call of getpriority ends a part of the count;
// with `clocks` it counts the readings of clocks instead, and prints them.
import { existsSync, writeSync } from 'node:fs'
import { getPriority } from 'node:os'
import { readTask } from '../lane.mjs'
import { ADMIT, DENY } from '../limits.mjs'
import { isByHand, startServer } from '../peers/http-servers.mjs'
import { openWires } from '../wire.mjs'

const CLIENTS = 16
const NAP_MS = 20

const { subject, case: name, warm, requests, rounds, clocks, counting } = readTask()
const [framework, outcome] = name.split('-')
const isDenied = outcome === 'deny'
const readings = clocks && (await import('../clocks.mjs')).countReadings()
const send = await open()
await (clocks ? countClocks() : countInstructions())
process.exit()

async function open() {
  const limit = isDenied ? DENY : ADMIT
  const server = await startServer({ framework, subject, isDenied, limit })
  const ask = openWires(server, CLIENTS)
  // Each client's first request uses up its only unit.
  if (isDenied && !isByHand(subject)) await ask({ requests: CLIENTS, status: '200' })
  return (marks) => ask({ ...marks, status: isDenied ? '429' : '200' })
}

function countInstructions() {
  let isCounting = false
  const mark = () => {
    if (!isCounting) awaitCount()
    isCounting = true
    getPriority()
  }
  return send({ requests: warm + rounds * requests, from: warm, every: requests, mark })
}

/** Tells that it is warm and sleeps, but not for long at once: callgrind hears of its order in between. */
function awaitCount() {
  const never = new Int32Array(new SharedArrayBuffer(4))
  writeSync(1, 'warm\n')
  while (!existsSync(counting)) Atomics.wait(never, 0, 0, NAP_MS)
}

async function countClocks() {
  const counts = []
  const mark = () => counts.push(readings())
  await send({ requests: warm + requests, from: warm, every: requests, mark })
  const [before, after] = counts
  const each = Object.keys(after).map((kind) => [kind, (after[kind] - before[kind]) / requests])
  process.stdout.write(`${JSON.stringify(Object.fromEntries(each))}\n`)
}
