import { FakeClock } from 'ratethrottle'
import type { ShieldMode, ShieldState } from 'ratethrottle/shield'
import { Guard } from '../../dist/shield/guard.js'
import { randomFrom } from '../fixtures/random.ts'

/** Who asks: each request names its source. */
export interface Group {
  readonly name: string
  /** Requests a second of all of them, at a time in ms. */
  readonly rate: (ms: number) => number
  /** The source of the n-th request, which comes at a time in ms. */
  readonly source: (n: number, ms: number, random: () => number) => string
  /** How many come at once. */
  readonly burst?: number
}

/** A process with one event loop, in virtual time: what a request costs is computing time. */
export interface Service {
  readonly seed: number
  readonly seconds: number
  readonly groups: readonly Group[]
  readonly mode?: ShieldMode
  /** Computing time of a request, and of one that is refused. */
  readonly costMs: (ms: number) => number
  readonly refusalMs?: number
  /** Synchronous pauses: when, and how long. */
  readonly pauses?: readonly (readonly [atMs: number, forMs: number])[]
  /** How long a request waits for something else before it is answered. Default: 0. */
  readonly dependencyMs?: (ms: number) => number
  /** Whether the guard is told how the n-th request ended. Default: it is. */
  readonly isTold?: (n: number) => boolean
}

/** One request: its status, and the time from its arrival to its answer. */
export interface Answer {
  readonly group: string
  readonly atMs: number
  readonly isServed: boolean
  readonly tookMs: number
}

export interface Run {
  readonly answers: readonly Answer[]
  /** What the guard saw, each 100 ms. */
  readonly states: readonly (ShieldState & { readonly atMs: number })[]
}

interface Arrival {
  readonly at: number
  readonly group: string
  readonly ip: string
}

/** How often the loop's lateness is looked at, as Node does it. */
const LOOK_MS = 20
const START = 5_000_000

/** Time as the process spends it, and how busy and late its loop was. */
class Loop {
  readonly clock = new FakeClock(START)
  now = 0
  #busy = 0
  #readAt = 0
  #lookedAt = 0
  #least: number | undefined

  start(): void {}
  stop(): void {}

  read() {
    const utilization = this.#busy / Math.max(1, this.now - this.#readAt)
    const reading = { utilization: Math.min(1, utilization), delayMs: this.#least, computing: 1 }
    this.#busy = 0
    this.#readAt = this.now
    this.#least = undefined
    return reading
  }

  work(ms: number): void {
    this.#busy += ms
    this.#pass(ms)
  }

  idle(until: number): void {
    if (until - this.now >= LOOK_MS) this.#least = 0
    this.#pass(until - this.now)
  }

  /** The loop has come round. */
  turn(): void {
    if (this.now - this.#lookedAt < LOOK_MS) return
    const late = Math.max(0, this.now - this.#lookedAt - LOOK_MS)
    this.#least = Math.min(this.#least ?? Number.POSITIVE_INFINITY, late)
    this.#lookedAt = this.now
  }

  #pass(ms: number): void {
    this.now += Math.max(0, ms)
    this.clock.set(START + this.now)
  }
}

/** Runs the groups against a service whose shield measures what it can do. */
export function serve(service: Service): Run {
  const { next } = randomFrom(service.seed)
  const loop = new Loop()
  const mode = service.mode ?? 'enforce'
  const guard = new Guard({ mode, maxRate: 'auto', clock: loop.clock }, loop)
  const arrivals = service.groups
    .flatMap((group) => arrivalsOf(group, service.seconds * 1000, next))
    .sort((a, b) => a.at - b.at)
  const pauses = [...(service.pauses ?? [])]
  const answers: Answer[] = []
  const states: (ShieldState & { atMs: number })[] = []
  const waiting: { due: number; end: () => void }[] = []
  const serveOne = ({ at, group, ip }: Arrival): void => {
    const request = { ip }
    const { allowed } = guard.decide(request)
    const answer = (isServed: boolean) =>
      answers.push({ group, atMs: at, isServed, tookMs: loop.now - at })
    if (!allowed) {
      loop.work(service.refusalMs ?? 0.2)
      answer(false)
      return
    }
    loop.work(service.costMs(loop.now) * (0.5 + next()))
    const end = (): void => {
      if (service.isTold?.(answers.length) ?? true) guard.settle(request, 200)
      answer(true)
    }
    const wait = service.dependencyMs?.(loop.now) ?? 0
    if (wait > 0) waiting.push({ due: loop.now + wait * (0.8 + 0.4 * next()), end })
    else end()
  }
  let index = 0
  while (index < arrivals.length || waiting.length > 0) {
    const first = arrivals[index]?.at ?? Number.POSITIVE_INFINITY
    const ended = waiting.reduce((least, { due }) => Math.min(least, due), Number.POSITIVE_INFINITY)
    const pause = pauses[0]
    if (pause !== undefined && pause[0] <= Math.max(loop.now, Math.min(first, ended))) {
      if (loop.now < pause[0]) loop.idle(pause[0])
      loop.work(pause[1])
      pauses.shift()
    } else if (Math.min(first, ended) > loop.now) {
      loop.idle(Math.min(first, ended))
    }
    const cameRound = loop.now
    for (let i = waiting.length - 1; i >= 0; i--) {
      if ((waiting[i]?.due ?? 0) <= cameRound) waiting.splice(i, 1)[0]?.end()
    }
    while (index < arrivals.length && (arrivals[index]?.at ?? 0) <= cameRound) {
      serveOne(arrivals[index++] as Arrival)
    }
    loop.turn()
    if (loop.now - (states.at(-1)?.atMs ?? -100) >= 100) {
      states.push({ ...guard.state(), atMs: loop.now })
    }
  }
  guard.close()
  return { answers, states }
}

function arrivalsOf(group: Group, untilMs: number, next: () => number): Arrival[] {
  const { name, rate, source, burst = 1 } = group
  const found: Arrival[] = []
  for (let at = 0, n = 0; at < untilMs; ) {
    const perSecond = rate(at)
    // Nobody for now: look again a little later.
    at += perSecond > 0 ? (-Math.log(1 - next()) * 1000 * burst) / perSecond : 50
    if (perSecond <= 0) continue
    for (let i = 0; i < burst; i++) {
      found.push({ at, group: name, ip: source(n++, at, next) })
    }
  }
  return found
}
