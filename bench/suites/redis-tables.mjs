import { BARE_SCRIPT } from '../peers/redis.mjs'

const OURS = 'ratethrottle'
const FLOORS = ['ping', 'incr-pexpire', BARE_SCRIPT]

/** Calls in flight, and whether the client gathers commands into pipelines by itself. */
export const CASES = {
  'redis-1': { inFlight: 1, auto: false },
  'redis-64': { inFlight: 64, auto: false },
  'redis-256': { inFlight: 256, auto: false },
  'redis-64-auto': { inFlight: 64, auto: true },
  'redis-256-auto': { inFlight: 256, auto: true },
}

/** One table for each case, and under it how we stand against the floor and the rivals. */
export function tables(rows) {
  return [...new Set(rows.map((row) => row.case))].map((name) =>
    caseTable(
      name,
      rows.filter((row) => row.case === name),
    ),
  )
}

function caseTable(name, rows) {
  const { inFlight, auto } = CASES[name]
  return {
    title: `${name}: ${inFlight} in flight, auto-pipelining ${auto ? 'on' : 'off'}`,
    head: ['subject', 'calls/s', 'min', 'max', 'p50 µs', 'p99 µs'],
    body: rows.map((row) => [
      row.subject,
      ...[row.opsPerSec, row.min, row.max, row.p50Us, row.p99Us].map((n) => String(Math.round(n))),
    ]),
    notes: comparison(rows),
  }
}

function comparison(rows) {
  const own = rows.find(({ subject }) => subject === OURS)
  if (own === undefined) return []
  const notes = []
  const bare = rows.find(({ subject }) => subject === BARE_SCRIPT)
  if (bare !== undefined) notes.push(against(own, bare))
  const rivals = rows.filter(({ subject }) => isRival(subject))
  if (rivals.length === 0) return notes
  const best = rivals.reduce((most, row) => (row.opsPerSec > most.opsPerSec ? row : most))
  return [...notes, `The best rival. ${against(own, best)}`]
}

/** A share below one is fewer calls, or a shorter wait. */
function against(own, other) {
  const share = (field) => (own[field] / other[field]).toFixed(2)
  return (
    `${OURS} against ${other.subject}: ${share('opsPerSec')} times its calls, ` +
    `p50 ${share('p50Us')} and p99 ${share('p99Us')} times as long.`
  )
}

function isRival(subject) {
  return !subject.startsWith(OURS) && !FLOORS.includes(subject) && !subject.endsWith('-denied')
}
