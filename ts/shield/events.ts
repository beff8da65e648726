import { type Channel, channel } from 'node:diagnostics_channel'
import { addressKey, canonical } from '../client-ip/ip.ts'
import { publish, Warnings } from '../http/events.ts'
import type { Reason } from './types.ts'

/** A source was blocked. */
export interface BlockEvent {
  readonly type: 'block'
  /** Its address; for IPv6 its /64. `undefined` in an event that only sums up. */
  readonly source: string | undefined
  /** Empty for a block by hand. */
  readonly reasons: readonly Reason[]
  /** How long, in milliseconds. */
  readonly ms: number
  /** Whether its requests are refused: not in watch mode. */
  readonly enforced: boolean
  /** Blocks since the last event that have none of their own: there is at most one event a second, after 60 at once. */
  readonly more: number
}

/** The service is offered more than it can do, or no longer is. */
export interface PressureEvent {
  readonly type: 'pressure'
  readonly active: boolean
  readonly enforced: boolean
}

/** Most requests to sensitive routes fail, or no longer do. */
export interface AlarmEvent {
  readonly type: 'alarm'
  readonly active: boolean
  readonly enforced: boolean
}

/** What `ratethrottle:shield` publishes. */
export type ShieldEvent = BlockEvent | PressureEvent | AlarmEvent

/** Callbacks for what the shield does. They must not throw; if one does, nothing else changes. */
export interface ShieldHooks {
  readonly onBlock?: ((event: BlockEvent) => void) | undefined
  readonly onPressure?: ((event: PressureEvent) => void) | undefined
}

const SHIELD: Channel = channel('ratethrottle:shield')

/** How many blocks are reported one by one at once; then one each second is: an operator may log each. */
const AT_ONCE = 60
const EVERY_MS = 1_000
/** Between two looks at pressure and alarm. */
const LOOK_MS = 250

/** What a look shows. */
export interface Look {
  readonly pressure: boolean
  readonly alarm: boolean
}

/** Calls hooks and publishes to `ratethrottle:shield`: at most an event of a kind each second, however many blocks. */
export class ShieldEvents {
  readonly #hooks: ShieldHooks
  readonly #warnings = new Warnings()
  readonly #enforced: boolean
  /** `undefined` once there is no guard any more. */
  readonly #look: () => Look | undefined
  /** As a bucket: when it is full again. */
  #fullAt = Number.NEGATIVE_INFINITY
  #more = 0
  #nextLook = Number.NEGATIVE_INFINITY
  readonly #known = { pressure: false, alarm: false }
  readonly #changedAt = { pressure: -EVERY_MS, alarm: -EVERY_MS }
  #timer: NodeJS.Timeout | undefined

  constructor(hooks: ShieldHooks, enforced: boolean, look: () => Look | undefined) {
    this.#hooks = hooks
    this.#enforced = enforced
    this.#look = look
  }

  /** Looks by itself from now on. */
  start(): void {
    this.#timer = setInterval(() => this.step(performance.now()), LOOK_MS).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** @param ip of a source whose block has begun */
  blocked(ip: string, reasons: readonly Reason[], ms: number, now: number): void {
    if (!this.#isHeard(this.#hooks.onBlock)) return
    if (!this.#take(now)) {
      this.#more++
      return
    }
    const address = canonical(ip)
    this.#publishBlock(address === undefined ? ip : addressKey(address), reasons, ms)
  }

  /** Reports what has changed. Does nothing if it was called a moment ago. */
  step(now: number): void {
    if (now < this.#nextLook) return
    this.#nextLook = now + LOOK_MS
    // What was left out of a flood that is over.
    if (this.#more > 0 && this.#take(now)) this.#publishBlock(undefined, [], 0)
    if (!this.#isHeard(this.#hooks.onPressure)) return
    const seen = this.#look()
    if (seen === undefined) {
      this.close()
      return
    }
    this.#compare('pressure', seen.pressure, now)
    this.#compare('alarm', seen.alarm, now)
  }

  #compare(type: 'pressure' | 'alarm', active: boolean, now: number): void {
    if (this.#known[type] === active || now - this.#changedAt[type] < EVERY_MS) return
    this.#known[type] = active
    this.#changedAt[type] = now
    const enforced = this.#enforced
    if (type === 'alarm') this.#publish(undefined, { type, active, enforced })
    else this.#publish(this.#hooks.onPressure, { type, active, enforced })
  }

  #isHeard(hook: unknown): boolean {
    return hook !== undefined || SHIELD.hasSubscribers
  }

  #take(now: number): boolean {
    const fullAt = Math.max(this.#fullAt, now) + EVERY_MS
    if (fullAt - now > AT_ONCE * EVERY_MS) return false
    this.#fullAt = fullAt
    return true
  }

  #publishBlock(source: string | undefined, reasons: readonly Reason[], ms: number): void {
    const more = this.#more
    this.#more = 0
    const enforced = this.#enforced
    this.#publish(this.#hooks.onBlock, { type: 'block', source, reasons, ms, enforced, more })
  }

  #publish<Event extends ShieldEvent>(
    hook: ((event: Event) => void) | undefined,
    event: Event,
  ): void {
    publish(this.#warnings, 'onBlock or onPressure', hook, SHIELD, event)
  }
}

/** Events that look at a guard by themselves, and do not keep one that the program has dropped. */
export function openEvents<Guard extends object>(
  hooks: ShieldHooks,
  enforced: boolean,
  isTimed: boolean,
  guard: Guard,
  look: (guard: Guard) => Look | undefined,
): ShieldEvents {
  const held = new WeakRef(guard)
  const events = new ShieldEvents(hooks, enforced, () => {
    const known = held.deref()
    return known === undefined ? undefined : look(known)
  })
  if (isTimed) events.start()
  return events
}
