import { FakeClock } from 'ratethrottle'
import { type Guard, type ShieldDecision, type ShieldOptions, shield } from 'ratethrottle/shield'

/** A guard that enforces, and the clock it goes by. */
export interface Enforcing {
  readonly clock: FakeClock
  readonly guard: Guard
}

/** The time at which a test's clock begins. */
export const START = 5_000_000

export const SECOND = 1_000
export const MINUTE = 60_000
export const HOUR = 3_600_000
export const DAY = 86_400_000

/** A guard in enforce mode with a clock of its own. */
export function enforcing(options: ShieldOptions = {}): Enforcing {
  const clock = new FakeClock(START)
  return { clock, guard: shield({ mode: 'enforce', clock, ...options }) }
}

/** Requests that one source sends at an even pace. */
export interface Sender {
  /** The address, or that of the n-th request. */
  readonly ip: string | ((n: number) => string)
  readonly perSecond: number
  /** When it begins and ends, in seconds of the run. Default: all of it. */
  readonly from?: number
  readonly until?: number
  readonly path?: string | ((n: number) => string)
  /** Status of a request that is let in. Default: 200. */
  readonly status?: number | ((n: number) => number)
  readonly sensitive?: boolean
  /** Whether it waits for as long as it is told. Default: false. */
  readonly isPatient?: boolean
}

/** What became of a sender's requests. */
export interface Sent {
  readonly asked: number
  readonly refused: number
  /** How often it found itself blocked. */
  readonly blocked: number
  /** The second of the first refusal, infinite without one. */
  readonly refusedAt: number
  readonly decisions: readonly ShieldDecision[]
}

/** What a sender has sent so far. */
class Progress {
  readonly sender: Sender
  /** Time of the next request, in milliseconds of the run. */
  next: number
  readonly until: number
  readonly decisions: ShieldDecision[] = []
  refusedAt = Number.POSITIVE_INFINITY

  constructor(sender: Sender, seconds: number, phase: number) {
    this.sender = sender
    this.next = (sender.from ?? 0) * SECOND + phase
    this.until = (sender.until ?? seconds) * SECOND
  }

  send(guard: Guard): void {
    const { sender } = this
    const n = this.decisions.length
    const of = <T extends string | number>(value: T | ((n: number) => T)): T =>
      typeof value === 'function' ? value(n) : value
    const { sensitive } = sender
    const request = { ip: of(sender.ip), path: of(sender.path ?? '/'), sensitive }
    const decision = guard.decide(request)
    this.decisions.push(decision)
    this.next += SECOND / sender.perSecond
    if (decision.allowed) {
      guard.settle(request, of(sender.status ?? 200))
      return
    }
    guard.settle(request, decision.status ?? 200)
    this.refusedAt = Math.min(this.refusedAt, this.next / SECOND)
    if (sender.isPatient === true) this.next += decision.retryAfterMs
  }

  get sent(): Sent {
    const { decisions, refusedAt } = this
    const refused = decisions.filter(({ allowed }) => !allowed).length
    const blocked = decisions.filter(({ level }) => level === 4).length
    return { asked: decisions.length, refused, blocked, refusedAt, decisions }
  }
}

/** Runs senders beside each other for so many seconds of the clock. */
export function run({ guard, clock }: Enforcing, seconds: number, senders: Sender[]): Sent[] {
  const began = clock.now()
  // Not all in the same millisecond: that would be a burst.
  const all = senders.map(
    (sender, i) => new Progress(sender, seconds, ((i * 617) % 1000) / sender.perSecond),
  )
  const queue = new Queue(all.filter((one) => one.next < one.until))
  for (let one = queue.first(); one !== undefined; one = queue.first()) {
    const at = began + one.next
    if (at > clock.now()) clock.set(at)
    one.send(guard)
    queue.settle(one.next < one.until)
  }
  clock.set(began + seconds * SECOND)
  return all.map(({ sent }) => sent)
}

/** A heap: the sender whose request is next comes first. */
class Queue {
  readonly #heap: Progress[] = []

  constructor(all: Progress[]) {
    for (const one of [...all].sort((a, b) => a.next - b.next)) this.#heap.push(one)
  }

  first(): Progress | undefined {
    return this.#heap[0]
  }

  /** Moves the first to its new place, or takes it out. */
  settle(goesOn: boolean): void {
    const heap = this.#heap
    const last = goesOn ? heap[0] : heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    for (let i = 0; ; ) {
      const [left, right] = [heap[2 * i + 1], heap[2 * i + 2]]
      if (left === undefined) return
      const isRight = right !== undefined && right.next < left.next
      const child = isRight ? right : left
      if (child.next >= last.next) return
      heap[i] = child
      i = 2 * i + (isRight ? 2 : 1)
      heap[i] = last
    }
  }
}

/** Addresses of as many users, each in a network of its own. */
export function users(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `100.${64 + (i >> 8)}.${i & 255}.${1 + (i % 250)}`)
}

/** Sums of what became of several senders. */
export function sum(all: readonly Sent[]): { asked: number; refused: number; blocked: number } {
  const add = (of: (one: Sent) => number) => all.reduce((total, one) => total + of(one), 0)
  return {
    asked: add((one) => one.asked),
    refused: add((one) => one.refused),
    blocked: add((one) => one.blocked),
  }
}
