import { flat } from '../key-hash.ts'
import type { MaybePromise } from '../limiter.ts'
import { callerOf } from '../wait-queue/caller.ts'
import { Heap } from '../wait-queue/heap.ts'
import { Agenda } from '../wait-queue/line.ts'
import { Line, type Outcome, type QueueSource, type Room, Waiter } from './line.ts'
import { Poll } from './poll.ts'
import { PermitRefused } from './types.ts'

/** How often the permits of processes that were killed are looked for, in polls. */
const REAP_EVERY = 10
/** Callers that are asked for in one turn of the event loop. */
const MAX_ASKED_AT_ONCE = 256

/**
 * Callers who wait for a permit.
 *
 * Of those whose key may have one more, the one that came first is served first. So within a key callers are served
 * in the order in which they came, and so are all callers where `total` is what refuses. A caller whose own key is full
 * holds up no other key.
 *
 * Joining, leaving and a release take as long as it takes to find a place in a heap. Permits that other threads and
 * processes give back are found by asking, for as long as callers wait.
 */
export class PermitQueue {
  readonly #source: QueueSource
  readonly #room: Room
  readonly #lines = new Map<string, Line>()
  /** Lines whose head may have a permit as far as its key goes. */
  readonly #ready = new Heap<Line>()
  /** Lines whose head was refused for its key, the one that asked first in front. */
  readonly #blocked = new Set<Line>()
  /** Lines whose head waits because of `total`. */
  readonly #forTotal = new Set<Line>()
  readonly #deadlines: Agenda<Waiter>
  readonly #poll: Poll
  #size = 0
  #count = 0
  #polls = 0
  /** Questions under way. */
  #asking = 0

  constructor(source: QueueSource, room: Room) {
    this.#source = source
    this.#room = room
    this.#deadlines = new Agenda(room.clock, (waiter) => this.#expire(waiter))
    this.#poll = new Poll(source.poll.everyMs, () => this.#ask(source.poll.most))
  }

  /** How many callers wait. */
  get size(): number {
    return this.#size
  }

  /** Why a caller of this key that does not wait gets no permit: others were there before it. */
  ahead(key: string): PermitRefused | undefined {
    if (this.#size === 0) return undefined
    const line = this.#lines.get(key)
    if (line !== undefined) return line.refused
    // Of lines that are being asked for, only those count that `total` has refused.
    const isAny = this.#asking === 0 && this.#ready.first !== undefined
    return isAny || this.#forTotal.size > 0 ? this.#source.beforeAll : undefined
  }

  /**
   * Waits until there is a permit, but no longer than `maxWaitMs`.
   *
   * @param refused why there is none now
   * @param signal rejects with its reason when it is aborted
   */
  join(
    key: string,
    refused: PermitRefused,
    maxWaitMs: number,
    signal?: AbortSignal,
  ): MaybePromise<Outcome> {
    const { queue, maxWaiters, clock } = this.#room
    const known = this.#lines.get(key)
    const isFull = (known?.size ?? 0) >= queue || this.#size >= maxWaiters
    if (isFull || maxWaitMs <= 0 || refused.reason === 'store') return refused
    const now = clock.now()
    const line = known ?? new Line(flat(key), refused)
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(line, this.#count++, now, resolve, reject)
      line.push(waiter)
      if (known === undefined) this.#begin(line)
      if (this.#size++ === 0 || line.refused.reason === 'capacity') this.#startPoll(line)
      this.#source.queued(1)
      this.#deadlines.put(waiter, now + maxWaitMs)
      waiter.stopWatching = signal && callerOf(signal).watch(() => this.#leave(waiter, signal))
    })
  }

  /** A permit of this key was given back, or may have been: those who wait ask again. */
  released(key: string): void {
    if (this.#size === 0) return
    const line = this.#lines.get(key)
    if (line !== undefined) this.#unblock(line)
    this.#serve()
  }

  /** Rejects all waiters with the reason. */
  close(reason: unknown): void {
    for (const line of [...this.#lines.values()]) {
      for (let { head } = line; head !== undefined; head = line.head) {
        this.#remove(head).reject(reason)
      }
    }
  }

  #begin(line: Line): void {
    this.#lines.set(line.key, line)
    if (this.#isForTotal(line)) this.#makeReady(line)
    else this.#blocked.add(line)
  }

  /** Whether the line, which has a head, waits because of `total`. Remembers it. */
  #isForTotal(line: Line): boolean {
    const isTotal = line.refused.reason === 'total'
    if (isTotal) this.#forTotal.add(line)
    else this.#forTotal.delete(line)
    return isTotal
  }

  #startPoll(line: Line): void {
    if (this.#source.isShared || line.refused.reason === 'capacity') this.#poll.start()
  }

  /** Asks for some of those of whom it is not known that anything has changed. */
  #ask(most: number): void {
    if (this.#polls++ % REAP_EVERY === 0) this.#source.reap?.()
    let left = most
    for (const line of this.#blocked) {
      if (left-- <= 0) break
      this.#unblock(line)
    }
    this.#serve()
  }

  #unblock(line: Line): void {
    if (line.isAsking) line.isWoken = true
    if (!this.#blocked.delete(line)) return
    this.#makeReady(line)
  }

  #makeReady(line: Line): void {
    if (line.head !== undefined && line.place < 0) this.#ready.put(line, line.head.number)
  }

  /** Asks for the callers that may have a permit, in the order in which they came. */
  #serve(): void {
    for (let asked = 0; ; asked++) {
      const line = this.#ready.first
      if (line === undefined) return
      if (asked >= MAX_ASKED_AT_ONCE) {
        // Those that were refused are left alone meanwhile: they came first, and would be asked for again and again.
        this.#poll.soon(() => this.#serve())
        return
      }
      this.#ready.remove(line)
      if (!this.#askFor(line)) return
    }
  }

  /** Whether to go on with the next line. */
  #askFor(line: Line): boolean {
    try {
      const answer = this.#source.ask(line.key)
      if (!(answer instanceof Promise)) return this.#settle(line, answer)
      this.#askLater(line, answer)
      // Where `total` refuses, the next one asks when this one has its answer: it came later.
      return this.#forTotal.size === 0
    } catch (error) {
      this.#fail(line, error)
      return true
    }
  }

  #askLater(line: Line, answer: Promise<Outcome>): void {
    line.isAsking = true
    line.isWoken = false
    this.#asking++
    const goOn = (settle: () => boolean): void => {
      line.isAsking = false
      this.#asking--
      if (settle()) this.#serve()
    }
    answer.then(
      (outcome) => goOn(() => this.#settle(line, outcome)),
      (error: unknown) =>
        goOn(() => {
          this.#fail(line, error)
          return true
        }),
    )
  }

  /** Whether the next line may have more luck. */
  #settle(line: Line, outcome: Outcome): boolean {
    const { head } = line
    if (outcome instanceof PermitRefused) return this.#refusedAgain(line, outcome)
    if (head === undefined) {
      // All of them have gone while the answer was under way.
      outcome.release()
      return true
    }
    this.#note(head)
    this.#remove(head).resolve(outcome)
    this.#makeReady(line)
    return true
  }

  /** For statistics alone: an injected clock that fails takes no permit from the caller. */
  #note({ since }: Waiter): void {
    try {
      this.#source.waited(this.#room.clock.now() - since)
    } catch {}
  }

  #refusedAgain(line: Line, refused: PermitRefused): boolean {
    line.refused = refused
    // With `onError: 'closed'` callers do not wait for a store that is away: nothing says when it is back.
    const isOver = refused.reason === 'store'
    for (let { head } = line; head !== undefined && (isOver || head.isDue); head = line.head) {
      this.#refuse(head)
    }
    if (line.head === undefined) return true
    const isTotal = this.#isForTotal(line)
    if (isTotal || line.isWoken) this.#makeReady(line)
    else this.#blocked.add(line)
    if (refused.reason === 'capacity') this.#poll.start()
    const isWoken = line.isWoken
    line.isWoken = false
    return isWoken || !isTotal
  }

  /** What asks has failed, as an injected clock or a closed limiter does. */
  #fail(line: Line, error: unknown): void {
    if (line.head !== undefined) this.#remove(line.head).reject(error)
    this.#makeReady(line)
  }

  /** A caller whose turn comes at the instant at which its wait is over is served. */
  #expire(waiter: Waiter): void {
    const { line } = waiter
    if (!line.isAsking) this.released(line.key)
    if (!waiter.isWaiting) return
    waiter.isDue = line.isAsking && line.head === waiter
    if (!waiter.isDue) this.#refuse(waiter)
  }

  #refuse(waiter: Waiter): void {
    const { refused } = waiter.line
    if (refused.reason !== 'store') this.#source.timedOut()
    this.#remove(waiter).resolve(refused)
  }

  #leave(waiter: Waiter, signal: AbortSignal): void {
    if (!waiter.isWaiting) return
    this.#source.gaveUp(waiter.line.key)
    this.#remove(waiter).reject(signal.reason)
  }

  /** Takes the waiter, who is then to be told the outcome, from its line. */
  #remove(waiter: Waiter): Waiter {
    const { line } = waiter
    const wasReady = line.place >= 0
    line.drop(waiter)
    this.#size--
    this.#source.queued(-1)
    this.#deadlines.remove(waiter)
    waiter.stopWatching?.()
    if (wasReady) this.#ready.remove(line)
    if (line.head === undefined) {
      this.#blocked.delete(line)
      this.#forTotal.delete(line)
      if (this.#lines.get(line.key) === line) this.#lines.delete(line.key)
    } else if (wasReady) this.#makeReady(line)
    if (this.#size === 0) this.#poll.stop()
    return waiter
  }
}
