import { LoadMeter, type LoadReading } from '../../ts/overload/load-meter.ts'
import { randomFrom } from '../fixtures/random.ts'

/** A server with one event loop in virtual time: what a request costs is computing time. */
export interface Traffic {
  readonly seed: number
  readonly seconds: number
  /** Requests a second at a time in ms; they come one by one, or in bursts of this many. */
  readonly rate: (ms: number) => number
  readonly burst?: number
  /** Computing time of one request, in ms. */
  readonly costMs: (ms: number) => number
  /** Synchronous pauses: when, and how long. */
  readonly pauses?: readonly (readonly [atMs: number, forMs: number])[]
  /** Whether requests above the capacity are refused, each at a tenth of the cost. */
  readonly enforce?: boolean
}

export interface Seen {
  readonly readings: readonly (LoadReading & { readonly atMs: number })[]
  /** When capacity was finite for the first time. */
  readonly pressureAtMs: number | undefined
  readonly refused: number
  readonly served: number
  /** How long each served request waited and was served, with its arrival. */
  readonly waits: readonly (readonly [atMs: number, waitedMs: number])[]
}

/** How often the loop's lateness is looked at, as Node does it. */
const LOOK_MS = 20

/** Runs the traffic through the loop, in which a meter measures. */
export function run(traffic: Traffic): Seen {
  const next = randomFrom(traffic.seed).next
  const arrivals = arrivalsOf(traffic, next)
  const pauses = [...(traffic.pauses ?? [])]
  const readings: (LoadReading & { atMs: number })[] = []
  let now = 0
  let busySince = 0
  let busy = 0
  let readAt = 0
  let looked = 0
  let least: number | undefined
  const meter = new LoadMeter({
    now: () => now,
    onTick: (reading) => readings.push({ ...reading, atMs: now }),
    loop: {
      start: () => {},
      stop: () => {},
      read: () => {
        const spent = busy + (now - busySince)
        const reading = {
          utilization: spent / Math.max(1, now - readAt),
          delayMs: least,
          computing: 1,
        }
        busy = 0
        busySince = now
        readAt = now
        least = undefined
        return reading
      },
    },
  })
  let tokens = 20
  let filledAt = 0
  const admits = (): boolean => {
    const { capacity } = meter.reading
    if (traffic.enforce !== true || capacity === Number.POSITIVE_INFINITY) return true
    tokens = Math.min(20, tokens + (0.9 * capacity * (now - filledAt)) / 1000)
    filledAt = now
    if (tokens < 1) return false
    tokens--
    return true
  }
  const waits: [number, number][] = []
  let refused = 0
  let index = 0
  while (index < arrivals.length) {
    const first = arrivals[index] as number
    const pause = pauses[0]
    if (pause !== undefined && pause[0] <= Math.max(now, first)) {
      if (now < pause[0]) now = busySince = pause[0]
      now += pause[1]
      pauses.shift()
    } else if (first > now) {
      // Idle until the next request; meanwhile the loop is punctual.
      if (first - now >= LOOK_MS) least = 0
      now = busySince = first
    }
    const cameRound = now
    while (index < arrivals.length && (arrivals[index] as number) <= cameRound) {
      const arrived = arrivals[index++] as number
      const cost = traffic.costMs(now) * (0.5 + next())
      if (!admits()) {
        refused++
        now += cost / 10
        continue
      }
      const began = now
      meter.started()
      now += cost
      meter.ended(now - began)
      waits.push([arrived, now - arrived])
    }
    if (now - looked >= LOOK_MS) {
      least = Math.min(least ?? Number.POSITIVE_INFINITY, Math.max(0, now - looked - LOOK_MS))
      looked = now
    }
    busy += now - busySince
    busySince = now
  }
  const pressureAtMs = readings.find(({ capacity }) => capacity < Number.POSITIVE_INFINITY)?.atMs
  return { readings, pressureAtMs, refused, served: waits.length, waits }
}

function arrivalsOf({ seconds, rate, burst = 1 }: Traffic, next: () => number): number[] {
  const found: number[] = []
  let at = 0
  while (at < seconds * 1000) {
    at += (-Math.log(1 - next()) * 1000 * burst) / rate(at)
    for (let i = 0; i < burst; i++) found.push(at)
  }
  return found
}
