import { FakeClock } from 'ratethrottle'
import {
  type OverloadOptions,
  type OverloadState,
  overload,
  type Priority,
} from 'ratethrottle/overload'
import { randomFrom } from '../fixtures/random.ts'

/** A service in virtual time behind a valve. */
export interface Service {
  /** Time that a request needs where it is alone, at a time in ms. */
  readonly needMs: (ms: number) => number
  /** How fast each of so many requests is done, 1 where it is alone. First come, first served if it is a number. */
  readonly speed: number | ((count: number) => number)
}

export interface Crowd {
  readonly seed: number
  readonly seconds: number
  /** Requests a second at a time in ms. */
  readonly rate: (ms: number) => number
  /** How many come at once at a time. */
  readonly burst?: readonly (readonly [atMs: number, count: number])[]
  readonly priorities?: readonly Priority[]
  readonly options?: OverloadOptions
}

export interface Came {
  readonly atMs: number
  readonly priority: Priority | undefined
  /** How long it took, `undefined` if it was refused. */
  tookMs: number | undefined
}

/** Requests and what became of them, and the state of the valve each second. */
export interface Run {
  readonly came: readonly Came[]
  readonly states: readonly OverloadState[]
}

const STEP_MS = 1

export function serve({ needMs, speed }: Service, crowd: Crowd): Run {
  const { next } = randomFrom(crowd.seed)
  const clock = new FakeClock()
  const valve = overload({ clock, ...crowd.options })
  const came: Came[] = []
  const states: OverloadState[] = []
  let jobs: { left: number; readonly came: Came; readonly done: () => void }[] = []
  const bursts = [...(crowd.burst ?? [])]
  const arrive = (atMs: number): void => {
    const { priorities } = crowd
    const priority = priorities?.[Math.floor(next() * priorities.length)]
    const one: Came = { atMs, priority, tookMs: undefined }
    came.push(one)
    const permit = valve.enter(priority)
    if (permit === undefined) return
    jobs.push({ left: needMs(atMs) * (0.5 + next()), came: one, done: () => permit.done() })
  }
  let nextAt = 0
  for (let now = 0; now < crowd.seconds * 1000; now += STEP_MS) {
    for (; nextAt <= now; nextAt += (-Math.log(1 - next()) * 1000) / crowd.rate(now)) arrive(now)
    while ((bursts[0]?.[0] ?? Number.POSITIVE_INFINITY) <= now) {
      for (let i = bursts.shift()?.[1] ?? 0; i > 0; i--) arrive(now)
    }
    const isFifo = typeof speed === 'number'
    const pace = isFifo ? 1 : speed(jobs.length)
    for (const job of isFifo ? jobs.slice(0, speed) : jobs) job.left -= STEP_MS * pace
    clock.advance(STEP_MS)
    const over = jobs.filter(({ left }) => left <= 0)
    if (over.length > 0) jobs = jobs.filter(({ left }) => left > 0)
    for (const { came: one, done } of over) {
      one.tookMs = clock.now() - one.atMs
      done()
    }
    if (now % 1000 === 0) states.push(valve.state())
  }
  // Those that are still served are no refusals.
  for (const { came: one } of jobs) one.tookMs = Number.POSITIVE_INFINITY
  return { came, states }
}

/** Of the requests that came in this time: how many were refused, served each second, and the median time. */
export function between({ came }: Run, fromS: number, toS: number) {
  const all = came.filter(({ atMs }) => atMs >= fromS * 1000 && atMs < toS * 1000)
  const took = all.flatMap(({ tookMs }) => tookMs ?? []).sort((a, b) => a - b)
  const refused = all.length - took.length
  return {
    came: all.length,
    refused,
    share: refused / all.length,
    rate: took.length / (toS - fromS),
    medianMs: took[took.length >> 1] ?? 0,
  }
}
