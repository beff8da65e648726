import type { Clock } from '../clock.ts'
import { closedError } from '../errors.ts'
import { MAX_WINDOW_MS } from '../limit/limit.ts'
import { type NativeShield, openShield, openWatched } from '../native/binding.ts'
import type { LoopProbe } from '../overload/event-loop.ts'
import * as validate from '../validate.ts'
import type { BlockExchange } from './block-exchange.ts'
import { type Look, openEvents, type ShieldEvents } from './events.ts'
import { inspect, tellOutcome } from './inspect.ts'
import { type ResolvedShieldOptions, resolveShieldOptions, type ShieldOptions } from './options.ts'
import { addressOf, isFailure, pathHash } from './outcome.ts'
import { type ProtectedServer, type ProtectOptions, protect } from './protect.ts'
import { NO_STATE, readState, readTop } from './reading.ts'
import { ServiceLoad } from './service-load.ts'
import { keepSettings, settingsOf } from './settings.ts'
import { shareBlocks } from './shared-blocks.ts'
import type {
  Level,
  Reason,
  ShieldDecision,
  ShieldMode,
  ShieldOutcome,
  ShieldRequest,
  ShieldState,
  TopSource,
} from './types.ts'
import type { RequestVerdict } from './verdict.ts'

/** The bits of the core's reasons, from the lowest on. */
const REASONS: readonly Reason[] = [
  'ceiling',
  'failures',
  'scan',
  'insistent',
  'prefix',
  'lot',
  'pressure',
]

/** The reasons of each combination of bits. */
const REASON_SETS: readonly (readonly Reason[])[] = Array.from({ length: 128 }, (_, bits) =>
  Object.freeze(REASONS.filter((_name, i) => (bits >> i) & 1)),
)

/** What most requests get. */
const CLEAR: ShieldDecision = Object.freeze({
  allowed: true,
  level: 0,
  reasons: REASON_SETS[0] as readonly Reason[],
  retryAfterMs: 0,
  status: undefined,
})

const SENSITIVE = 1
const WATCHING = 2
const FAILED = 1
const IS_SENSITIVE = 2
const PATH_SHIFT = 4
/** The longest text of an address that is told from others. */
const MAX_IP = 256

/**
 * Tells regulars from floods, scans and stuffing. Made by {@link shield}; the adapters make one of their option
 * `shield`. All calls are synchronous.
 */
export class Guard {
  readonly mode: ShieldMode
  readonly #native: NativeShield | undefined
  readonly #clock: Clock | undefined
  readonly #allow: ResolvedShieldOptions['allow']
  readonly #events: ShieldEvents | undefined
  readonly #exchange: BlockExchange | undefined
  readonly #isEnforcing: boolean
  /** Only where `maxRate` is `'auto'`. */
  readonly #load: ServiceLoad | undefined
  readonly #endNative: () => void = () => {}
  /** Secret, so that no client can choose paths that look like one. The same for all that share the shield. */
  #pathSeed = 0
  #isClosed = false

  /**
   * @param loop the event loop that `maxRate: 'auto'` measures, for tests
   * @throws TypeError or RangeError that names the option, its value and what is accepted
   */
  constructor(options: ShieldOptions<never> = {}, loop?: LoopProbe) {
    const resolved = resolveShieldOptions(options)
    const { mode, native, clock, allow, requests, sharing, blocks, isAuto } = resolved
    this.mode = mode
    this.#isEnforcing = mode === 'enforce'
    this.#clock = clock
    this.#allow = allow
    if (mode === 'off') {
      keepSettings(this, requests)
      return
    }
    const attach = { ...sharing, subject: SUBJECT }
    const opened = openWatched(openShield, native, attach, () => this, this.#readSeed.bind(this))
    this.#native = opened.native
    this.#endNative = opened.close
    this.#load = isAuto
      ? new ServiceLoad({ native: opened.native, clock, loop, isEnforcing: this.#isEnforcing })
      : undefined
    keepSettings(this, requests, this.#load)
    this.#readSeed()
    if (blocks !== undefined) {
      this.#exchange = shareBlocks(blocks, sharing.name, opened.native, native)
    }
    const isTimed = clock === undefined
    this.#events = openEvents(requests, this.#isEnforcing, isTimed, this, Guard.#look)
  }

  /** Decides about a request, and counts it. */
  decide(request: ShieldRequest): ShieldDecision {
    const native = this.#open()
    if (native === undefined) return CLEAR
    const ip = addressOf(request)
    const isSensitive = request.sensitive === true
    const flags = (isSensitive ? SENSITIVE : 0) | (this.#isEnforcing ? 0 : WATCHING)
    if (this.#allow?.has(ip)) return CLEAR
    const now = this.#clock?.now()
    let answer: false | undefined
    if (now !== undefined) answer = native.decide(ip, flags, now)
    else answer = flags === 0 ? native.decide(ip) : native.decide(ip, flags)
    const decision = answer === undefined ? CLEAR : this.#read(native, ip)
    // Hooks may ask the guard, whose next answer takes the place of this one.
    if (now !== undefined) this.#events?.step(now)
    if (decision.allowed) this.#load?.started(request)
    else if (decision.level < 4) this.#load?.refused()
    return decision
  }

  #read({ small }: NativeShield, ip: string): ShieldDecision {
    const numbers = small as unknown as readonly number[]
    const [level, bits = 0, isRefused, isLot, beginsBlock, retryAfterMs = 0] = numbers
    const reasons = REASON_SETS[bits] as readonly Reason[]
    if (beginsBlock === 1) this.#reportBlock(ip, reasons, retryAfterMs)
    const isAllowed = isRefused === 0 || !this.#isEnforcing
    return {
      allowed: isAllowed,
      level: level as Level,
      reasons,
      retryAfterMs,
      status: isAllowed ? undefined : isLot === 1 ? 503 : 429,
    }
  }

  /**
   * Says how a request ended. A status of 400 to 499 is the client's failure, except for 408, 425 and 429; it counts
   * towards a block if there are many, and the more if the route is sensitive.
   */
  settle(request: ShieldRequest, outcome: ShieldOutcome): void {
    const native = this.#open()
    if (native === undefined) return
    const ip = addressOf(request)
    const isSensitive = request.sensitive === true
    this.#load?.ended(request, outcome)
    const hasFailed = isFailure(outcome)
    // The usual case takes no call: the request was counted when it came.
    if (!hasFailed && (!isSensitive || outcome === 'dropped')) return
    const path = hasFailed ? pathHash(request.path ?? '', this.#pathSeed) : 0
    const number = (hasFailed ? FAILED : 0) | (isSensitive ? IS_SENSITIVE : 0)
    const code = number + path * PATH_SHIFT
    const answer = native.settle(ip, code, ...this.#now())
    if (answer !== undefined) this.#read(native, ip)
  }

  #reportBlock(ip: string, reasons: readonly Reason[], ms: number): void {
    this.#exchange?.began(ip, ms)
    this.#events?.blocked(ip, reasons, ms, this.#clock?.now() ?? performance.now())
  }

  /** For how many milliseconds the source is still blocked, 0 if it is not. Counts nothing. */
  isBlocked(ip: string): number {
    const native = this.#open()
    if (typeof ip !== 'string') {
      throw validate.invalid(TypeError, 'INVALID_ARGUMENT', 'ip', 'a string', ip)
    }
    if (native === undefined || this.#allow?.has(ip)) return 0
    const answer = native.blocked_ms(ip, 0, ...this.#now())
    return answer === undefined ? 0 : (native.wide[0] as number)
  }

  /** What the shield sees now. Takes about half a millisecond: it looks at every source. */
  state(): ShieldState {
    const native = this.#open()
    if (native === undefined) return NO_STATE
    native.state('', 1, ...this.#now())
    return readState(native.wide)
  }

  /** The sources that sent most in the last minute, the biggest first. Takes about half a millisecond. */
  top(count = 10): readonly TopSource[] {
    const native = this.#open()
    const most = validate.integer(count, 'count', 1, 1_000, 'INVALID_ARGUMENT')
    if (native === undefined) return []
    return readTop(native.top('', most, ...this.#now()))
  }

  /**
   * Blocks a source, whatever it has done. In watch mode it is only reported as blocked.
   *
   * @param ms how long, from 1 on
   * @returns false if the table is full of blocked sources
   */
  block(ip: string, ms: number): boolean {
    const native = this.#open()
    validate.text(ip, 'ip', 1, MAX_IP, 'INVALID_ARGUMENT')
    validate.integer(ms, 'ms', 1, MAX_WINDOW_MS, 'INVALID_ARGUMENT')
    if (native === undefined) return false
    try {
      native.block(ip, ms, ...this.#now())
      this.#reportBlock(ip, [], ms)
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'TABLE_FULL') return false
      throw error
    }
  }

  /**
   * Ends the block of a source, and forgets its strikes and failures.
   *
   * @returns whether it was blocked
   */
  pardon(ip: string): boolean {
    const native = this.#open()
    validate.text(ip, 'ip', 1, MAX_IP, 'INVALID_ARGUMENT')
    this.#exchange?.pardoned(ip)
    return native !== undefined && native.pardon(ip, 0, ...this.#now()) === undefined
  }

  /**
   * As {@link Guard.decide}, about a request of node:http, Express or Fastify, by its connection's address or what
   * option `trust` says. One that has been marked as `request.shield` is not counted again.
   */
  inspect(request: object): RequestVerdict {
    return inspect(this, request)
  }

  /** As {@link Guard.settle}, about such a request. Adapters call it; the first call about a request counts. */
  outcome(request: object, outcome: ShieldOutcome): void {
    tellOutcome(this, request, outcome)
  }

  /**
   * Refuses connections of blocked sources when a server accepts them, and ends those that are open when their source
   * is blocked. A proxy's are left alone.
   *
   * @returns undoes it
   */
  protect(server: ProtectedServer, options: ProtectOptions = {}): () => void {
    return protect(this, server, options)
  }

  /** Frees the memory. Later calls throw. What other hosts are to know is told before the connection is closed. */
  close(): void {
    this.#isClosed = true
    this.#events?.close()
    this.#exchange?.close()
    this.#load?.close()
    settingsOf(this).settings.tarpit.close()
    this.#endNative()
  }

  /** The number that hashes of paths begin with: another one after the file that processes share was deleted. */
  #readSeed(): void {
    this.#native?.stats()
    this.#pathSeed = this.#native?.wide[5] ?? 0
  }

  /** The part of {@link Guard.state} that is cheap. */
  static #look(guard: Guard): Look | undefined {
    if (guard.#isClosed || guard.#native === undefined) return undefined
    guard.#native.state('', 0, ...guard.#now())
    const [flags = 0] = guard.#native.wide
    return { pressure: (flags & 1) !== 0, alarm: (flags & 2) !== 0 }
  }

  #open(): NativeShield | undefined {
    if (this.#isClosed) throw closedError('the shield is closed')
    return this.#native
  }

  #now(): [] | [number] {
    return this.#clock === undefined ? [] : [this.#clock.now()]
  }
}

/** How warnings speak of what is shared. */
const SUBJECT = { noun: 'shield', settings: 'options' }
