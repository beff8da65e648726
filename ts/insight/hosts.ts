import { type Memory, nameOfMemory } from './host-name.ts'
import { type StepCounts, writeStep } from './kept-steps.ts'
import {
  KEPT_UNITS,
  type KeptUnit,
  OtherHosts,
  type StepFields,
  type StepId,
  UNITS,
} from './other-hosts.ts'
import type { Series } from './types.ts'

/** A killed process loses what it has counted in that time. */
const EVERY_MS = 10_000
/** How much earlier it may be, so that not all processes of a service ask at once. */
const JITTER_MS = 1_000
const FIRST_MS = 1_000
/** Steps that are read in one call, and at most in one exchange. */
const CHUNK = 120
const MAX_READ = 3 * CHUNK
/** Every sixth exchange reads newer steps again: a host may have pushed them late. */
const AGAIN_EVERY = 6
/** By how much what is known of the server's clock may be wrong: less may be the way there and back. */
const MAX_ERROR_MS = 1_000
/** The first attempt may come before the connection. */
const FAILURES_UNTIL_WARNING = 2

/** What a process has counted in a step. */
interface ToldStep extends StepId {
  readonly field: string
  readonly total: number
  readonly value: string
}

/** Where hosts tell each other what they have counted: see `RedisInsightSums`. */
export interface SharedSums {
  /** Resolves to the server's time. */
  push(steps: readonly ToldStep[]): Promise<number>
  read(steps: readonly StepId[]): Promise<readonly StepFields[]>
  close(): void
}

/** What this process, or the processes that share its memory, have counted. */
export interface OwnFigures {
  series(options: { readonly unit: KeptUnit; readonly steps: number }): readonly Series[]
  processes(): number
  /** Whether the program still uses the insight. */
  isUsed(): boolean
}

/** Tells other hosts what this one has counted, and asks what they have: every ten seconds. No request waits for it. */
export class Hosts {
  readonly others: OtherHosts
  readonly #sums: SharedSums
  readonly #own: OwnFigures
  readonly #me: string
  /** The last step of this host's clock that was told whole. */
  readonly #told: Record<KeptUnit, number | undefined> = { minute: undefined, hour: undefined }
  /** By a step of this host's clock, the step of the server's in which it was told: it stays there. */
  readonly #places = new Map<string, number>()
  /** By how much the server's time is ahead of this host's monotonic clock. */
  #offsetMs: number | undefined
  #exchanges = 0
  #failures = 0
  #isAsking = false
  #timer: NodeJS.Timeout | undefined

  constructor(sums: SharedSums, memory: Memory, own: OwnFigures) {
    this.#sums = sums
    this.#own = own
    this.#me = nameOfMemory(memory)
    this.others = new OtherHosts(this.#me, (unit, at) => this.#stepOf(unit, at))
  }

  /** Exchanges by itself from now on. */
  start(): void {
    this.#timer = setTimeout(() => this.#go(), FIRST_MS + Math.random() * JITTER_MS).unref()
  }

  /**
   * Tells what this process has counted, and asks what others have. Never rejects.
   *
   * @returns whether it could
   */
  async exchange(): Promise<boolean> {
    if (this.#isAsking) return false
    this.#isAsking = true
    try {
      await this.#tell()
      await this.#ask()
      this.#exchanges++
      return true
    } catch (error) {
      this.#failures++
      if (this.#failures === FAILURES_UNTIL_WARNING) warn(error)
      return false
    } finally {
      this.#isAsking = false
    }
  }

  /** Tells the last counts, and lets go of the connection. Called while they can still be read. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const done = this.#offsetMs === undefined ? Promise.resolve() : this.#tell()
    void done.catch(() => {}).finally(() => this.#sums.close())
  }

  #go(): void {
    if (!this.#own.isUsed()) {
      this.close()
      return
    }
    void this.exchange().finally(() => {
      if (this.#timer === undefined) return
      this.#timer = setTimeout(() => this.#go(), EVERY_MS - Math.random() * JITTER_MS).unref()
    })
  }

  async #tell(): Promise<void> {
    // A step that was told in another one's place would be counted twice.
    this.#offsetMs ??= (await this.#sums.push([])) - monotonicMs()
    const begun = monotonicMs()
    const newest = KEPT_UNITS.map((unit) => [unit, Math.floor(begun / UNITS[unit].ms)] as const)
    const serverMs = await this.#sums.push(
      newest.flatMap(([unit, current]) => {
        const missed = current - (this.#told[unit] ?? current - 1)
        return this.#collect(unit, current, Math.min(UNITS[unit].again, missed + 1))
      }),
    )
    for (const [unit, current] of newest) this.#told[unit] = current - 1
    const offsetMs = serverMs - (begun + monotonicMs()) / 2
    if (Math.abs(offsetMs - this.#offsetMs) > MAX_ERROR_MS) this.#offsetMs = offsetMs
  }

  /**
   * The last steps that have counts, and the newest.
   *
   * @param newest by this host's clock, which its processes have in common: to each of them it is the same step
   */
  #collect(unit: KeptUnit, newest: number, count: number): readonly ToldStep[] {
    const { ms } = UNITS[unit]
    const wallMs = Date.now() - monotonicMs()
    const byStep = new Map<number, (readonly [string, StepCounts])[]>([[newest, []]])
    for (const { limit, points } of this.#own.series({ unit, steps: Math.max(2, count) })) {
      for (const { at, ...counts } of points) {
        const own = Math.round((at - wallMs) / ms)
        const limits = byStep.get(own) ?? []
        limits.push([limit, counts])
        byStep.set(own, limits)
      }
    }
    const processes = this.#own.processes()
    return [...byStep].flatMap(([own, limits]) => {
      const { total, value } = writeStep(processes, limits)
      if (total === 0 && own !== newest) return []
      const step = this.#placeOf(unit, own)
      return [{ unit, step, field: `${this.#me}:${own}`, total, value }]
    })
  }

  #placeOf(unit: KeptUnit, own: number): number {
    const { ms } = UNITS[unit]
    const name = `${unit} ${own}`
    if (this.#places.size >= 4 * UNITS.minute.again) {
      const [first = ''] = this.#places.keys()
      this.#places.delete(first)
    }
    const place = this.#places.get(name) ?? Math.floor((own * ms + (this.#offsetMs ?? 0)) / ms)
    this.#places.set(name, place)
    return place
  }

  async #ask(): Promise<void> {
    const isLate = this.#exchanges % AGAIN_EVERY === 0
    const wanted = this.others.wanted(isLate).slice(0, MAX_READ)
    for (let i = 0; i < wanted.length; i += CHUNK) {
      const steps = wanted.slice(i, i + CHUNK)
      const found = await this.#sums.read(steps)
      for (const [at, step] of steps.entries()) this.others.learn(step, found[at] ?? [])
    }
  }

  /** The step of the server's clock at a time of this process' wall clock, which may be wrong. */
  #stepOf(unit: KeptUnit, at: number): number {
    const wallMs = Date.now() - monotonicMs()
    return Math.floor((at + (this.#offsetMs ?? wallMs) - wallMs) / UNITS[unit].ms)
  }
}

/** The clock by which the addon counts. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000
}

function warn(error: unknown): void {
  const { reason = 'failed' } = error as { readonly reason?: unknown }
  process.emitWarning(
    `an insight can not exchange its counts with other hosts (${String(reason)}): reports show this host alone. It ` +
      'tries again every ten seconds, and tells then what was counted meanwhile',
    { type: 'RateThrottleWarning', code: 'RATETHROTTLE_INSIGHT_STORE' },
  )
}

/** What an insight that tells other hosts is made from. */
export interface HostOptions extends Memory {
  readonly storage: unknown
  readonly keyPrefix: string | undefined
}

/** Begins to exchange counts by Redis, which is loaded on demand: the only way there from the insight. */
export function openHosts({ storage, keyPrefix, ...memory }: HostOptions, own: OwnFigures): Hosts {
  const redis = require('../redis/insight-sums.js') as typeof import('../redis/insight-sums.ts')
  const sums = new redis.RedisInsightSums(storage, keyPrefix, memory.name)
  const hosts = new Hosts(sums, memory, own)
  hosts.start()
  return hosts
}
