import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { BATCH } from '../batch.mjs'
import { FIRST_ID, idsFrom } from '../keys.mjs'
import { readTask, serveLane } from '../lane.mjs'
import { LIVE } from '../limits.mjs'
import { syncLoops } from '../loop.mjs'
import { loadSubject } from '../subjects.mjs'

const LIVE_KEYS = 1_000_000
const FLOOD_KEYS = 10_000_000
const BLOCKED_KEYS = 1000
const HOUR_MS = 3_600_000
const THROWN_STRINGS = 4_000_000
const WARM_TURNS = 200
const READINGS = 5
const PAUSE_MS = 20
const KIB = 1024

const { subject } = readTask()

serveLane({ live, flood })

/** Resident bytes that a million live keys add to the process, the limiter itself included. */
async function live() {
  const create = await loadSubject(subject)
  await warmUp(create)
  const before = await residentBytes()
  const limiter = await create({ ...LIVE, keys: LIVE_KEYS })
  await useFresh(limiter, FIRST_ID, LIVE_KEYS)
  const after = await residentBytes()
  // A key that was driven out costs nothing: the figure counts only if all are there.
  assert.equal(limiter.evictions?.() ?? 0, 0, 'every key is still live')
  await limiter.close()
  return after - before
}

/** The same table, then ten million keys it has never seen, and a thousand blocked before them. */
async function flood() {
  const create = await loadSubject(subject)
  await warmUp(create)
  const empty = await residentBytes()
  const limiter = await create({ ...LIVE, keys: LIVE_KEYS })
  const blocked = Array.from({ length: BLOCKED_KEYS }, (_, index) => `blocked:${index}`)
  await useFresh(limiter, FIRST_ID, LIVE_KEYS)
  for (const key of blocked) limiter.block(key, HOUR_MS)
  const before = (await residentBytes()) - empty
  await useFresh(limiter, FIRST_ID + LIVE_KEYS, FLOOD_KEYS)
  const after = (await residentBytes()) - empty
  return { before, after, blockedStillDenied: !blocked.some((key) => limiter.take(key)) }
}

/**
 * The loop's own garbage must be in the first reading too: millions of throw-away strings bring the
 * young heap to its full size, and a small limiter under use has its code compiled.
 */
async function warmUp(create) {
  const { fresh } = syncLoops((key) => key.length > 0)
  for (let start = 0; start < THROWN_STRINGS; start += BATCH) {
    fresh(idsFrom(FIRST_ID + start, BATCH), 0, BATCH)
  }
  const limiter = await create({ ...LIVE, keys: BATCH })
  for (let turn = 0; turn < WARM_TURNS; turn++) await useFresh(limiter, FIRST_ID, BATCH)
  await limiter.close()
}

async function useFresh(limiter, first, count) {
  const [{ fresh }] = Object.values(limiter.ways)
  for (let start = 0; start < count; start += BATCH) {
    await fresh(idsFrom(first + start, BATCH), 0, BATCH)
  }
}

/** The least of several readings, each after a full collection: what stays, not what is yet to be freed. */
async function residentBytes() {
  const readings = []
  for (let reading = 0; reading < READINGS; reading++) {
    globalThis.gc()
    await sleep(PAUSE_MS)
    readings.push(readResident())
  }
  return Math.min(...readings)
}

/** `VmRSS` on Linux, as the kernel counts it; elsewhere what Node can say. */
function readResident() {
  if (process.platform !== 'linux') return process.memoryUsage.rss()
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(kibibytes) * KIB
}
