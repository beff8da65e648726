import { randomBytes } from 'node:crypto'
import { StoreFailure } from '../remote/failure.ts'
import { Circle, SILENCE_MS } from './circle.ts'
import type { Skew } from './clock-offset.ts'
import { isScriptLost } from './failure.ts'
import type { RedisConnection } from './ioredis.ts'
import { sharedName } from './key.ts'
import { readNumbers } from './reply.ts'
import { HEARTBEAT_SCRIPT } from './script/index.ts'

/** How often a process says that it lives. */
const HEARTBEAT_MS = 2_000
/** How often while it is new, and others have to learn of it and it of them. */
const BRISK_MS = 500
const BRISK_FOR_MS = 4_000
/** Limiters whose processes are counted one by one. A process with more counts all on its prefix. */
const MOST = 128

/** How often to ask whether a heartbeat is due. */
export const PULSE_MS: number = BRISK_MS

interface Visitor {
  readonly id: string
  /** Whether it has too many limiters to be counted for each. */
  readonly isMany: boolean
  readonly leaves: boolean
}

interface Holders {
  readonly circle: Circle
  count: number
}

/**
 * Counts the processes that use one `keyPrefix`, by having each say that it lives, and for each limiter those
 * that share its limits. One command a heartbeat, whatever the number of limiters.
 */
export class Census {
  /** The name of the count in Redis. All other names have the same slot. */
  readonly name: string
  /** This process on this connection. Short: it stands in a set for each limiter. */
  readonly #id: string = newId()
  readonly #all = new Circle()
  /** By what tells limits apart. */
  readonly #circles = new Map<string, Holders>()
  /** What this process no longer shares, and may still be counted for. */
  readonly #left = new Set<string>()
  #dueAt = 0
  #briskUntil = 0

  constructor(prefix: string) {
    this.name = sharedName(prefix, 'processes')
  }

  /** The processes that share these limits, for one more limiter. */
  join(limits: string): Circle {
    const known = this.#circles.get(limits)
    const holders = known ?? { circle: new Circle(), count: 0 }
    if (known === undefined) this.#circles.set(limits, holders)
    holders.count++
    this.#left.delete(limits)
    return holders.circle
  }

  /** One limiter less. The process is counted for it until it leaves, or was not heard of for a while. */
  letGo(limits: string): void {
    const holders = this.#circles.get(limits)
    if (holders === undefined || --holders.count > 0) return
    this.#circles.delete(limits)
    if (this.#left.size < MOST) this.#left.add(limits)
  }

  /** Makes it time for a heartbeat: there is something to tell. */
  hurry(): void {
    this.#dueAt = 0
  }

  /** Whether it is time for a heartbeat. */
  isDue(now: number): boolean {
    return now >= this.#dueAt
  }

  /** Says that this process lives, and counts. Rejects as the connection does. */
  async take(link: RedisConnection, skew: Skew): Promise<void> {
    const sentAt = performance.now()
    // Those who join while it is under way are counted the next time.
    const circles = [...this.#circles]
    const isMany = circles.length > MOST
    const names = isMany ? [] : circles.map(([limits]) => `${this.name}:${limits}`)
    const who = { id: this.#id, isMany, leaves: false }
    const numbers = await visit(link, [this.name, this.#many, ...names], who)
    skew.learn(sentAt, numbers[1] ?? 0)
    this.#learn(circles, numbers, isMany)
    this.#plan(sentAt)
  }

  /** Says that this process is gone. */
  async leave(link: RedisConnection): Promise<void> {
    const all = [...this.#circles.keys(), ...this.#left].slice(0, MOST)
    const names = all.map((limits) => `${this.name}:${limits}`)
    await visit(link, [this.name, this.#many, ...names], {
      id: this.#id,
      isMany: true,
      leaves: true,
    })
  }

  get #many(): string {
    return `${this.name}:*`
  }

  #learn(circles: [string, Holders][], numbers: readonly number[], isMany: boolean): void {
    const [, serverUs = 0, oldestMs = -1, all = 0, isNew = 0, many = 0] = numbers
    const nowMs = Math.floor(serverUs / 1000)
    const inAll = { count: all, isNew: isNew === 1, oldestMs, nowMs }
    this.#all.learn(inAll)
    circles.forEach(([, { circle }], index) => {
      const [count = 0, isNewHere = 0] = numbers.slice(7 + 2 * index)
      const others = { count: count + many, isNew: isNewHere === 1, oldestMs, nowMs }
      circle.learn(isMany ? { ...inAll, isNew: circle.processes === 0 || inAll.isNew } : others)
    })
  }

  #plan(now: number): void {
    const isBusy = [...this.#circles.values()].some(({ circle }) => !circle.isSettled)
    if (isBusy) this.#briskUntil = now + BRISK_FOR_MS
    const isBehind = [...this.#circles.values()].some(({ circle }) => circle.processes === 0)
    // A little early rather than one pulse late.
    this.#dueAt = isBehind
      ? 0
      : now + (now < this.#briskUntil ? BRISK_MS : HEARTBEAT_MS) - BRISK_MS / 2
  }
}

/** Proves that the server which holds `name` runs scripts and can be written to. */
export async function proveAlive(link: RedisConnection, name: string, skew: Skew): Promise<void> {
  const sentAt = performance.now()
  const who = { id: newId(), isMany: false, leaves: false }
  const [, serverUs = 0] = await visit(link, [name], who)
  skew.learn(sentAt, serverUs)
}

function newId(): string {
  return randomBytes(9).toString('base64url')
}

async function visit(
  link: RedisConnection,
  names: readonly string[],
  { id, isMany, leaves }: Visitor,
): Promise<readonly number[]> {
  const args = [names.length, ...names, id, SILENCE_MS, Number(leaves), Number(isMany)]
  const reply = await link.evalsha(HEARTBEAT_SCRIPT.sha, ...args).catch((error: unknown) => {
    if (!isScriptLost(error)) throw error
    return link.eval(HEARTBEAT_SCRIPT.text, ...args)
  })
  const numbers = readNumbers(reply)
  if (numbers === undefined) throw new StoreFailure('garbled')
  return numbers
}
