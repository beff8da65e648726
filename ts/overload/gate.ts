import { channel } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { publish, reasonOf, Warnings } from '../http/events.ts'
import { isFinished } from '../http/node.ts'
import { onEnd } from '../http/response-end.ts'
import { invalid, oneOf } from '../validate.ts'
import { Answers } from './answer.ts'
import { type OverloadOptions, type RejectEvent, resolveOverloadOptions } from './options.ts'
import { PRIORITIES, type Priority } from './priority.ts'
import { Valve } from './valve.ts'

const OVERLOAD = channel('ratethrottle:overload')

/** Room for one request. */
export interface Permit {
  /** The request has ended. Only the first call counts. */
  done(): void
}

/** Rooms of permits that the program has lost: they are given back when the permit is collected. */
const LOST = new FinalizationRegistry<Room>((room) => room.leave(false))

/** What one request has of the valve: given back once. */
class Room {
  readonly #valve: Valve
  readonly #startedAt: number
  #isFree = false

  constructor(valve: Valve) {
    this.#valve = valve
    this.#startedAt = valve.now
  }

  /** @param isWhole false for a client that has left: it says nothing of how long requests take */
  leave(isWhole: boolean): void {
    if (this.#isFree) return
    this.#isFree = true
    this.#valve.leave(isWhole ? this.#startedAt : undefined)
  }
}

/** The valve as requests see it. */
export class Gate {
  readonly valve: Valve
  readonly answers: Answers
  readonly #priority: OverloadOptions['priority']
  readonly #onReject: OverloadOptions['onReject']
  readonly #warnings = new Warnings()
  /** A request that passes the valve twice is one. */
  readonly #entered = new WeakSet<IncomingMessage>()

  constructor(options: OverloadOptions) {
    const resolved = resolveOverloadOptions(options)
    this.valve = new Valve(resolved)
    this.answers = new Answers(resolved.retryAfter)
    this.#priority = resolved.priority
    this.#onReject = resolved.onReject
  }

  admits(request: IncomingMessage, response: ServerResponse): boolean {
    // What was answered already has no end that could be seen.
    if (this.#entered.has(request) || isFinished(response)) return true
    const priority = this.#priorityOf(request)
    const reason = this.valve.enter(priority)
    if (reason !== undefined) {
      this.#rejected({ request, priority, reason })
      return false
    }
    this.#entered.add(request)
    leaveWith(response, new Room(this.valve))
    return true
  }

  enter(priority: Priority | undefined, response: ServerResponse | undefined): Permit | undefined {
    if (priority !== undefined && !PRIORITIES.includes(priority)) {
      const accepted = '"critical", "normal" or "background"'
      throw invalid('string', 'INVALID_ARGUMENT', 'priority', accepted, priority)
    }
    const reason = this.valve.enter(priority)
    if (reason !== undefined) {
      this.#rejected({ request: response?.req, priority, reason })
      return undefined
    }
    const room = new Room(this.valve)
    const permit: Permit = { done: () => room.leave(true) }
    if (response === undefined) LOST.register(permit, room)
    else if (isFinished(response)) room.leave(false)
    else leaveWith(response, room)
    return permit
  }

  #priorityOf(request: IncomingMessage): Priority | undefined {
    if (this.#priority === undefined) return undefined
    try {
      return oneOf(this.#priority(request), 'what priority returns', PRIORITIES)
    } catch (error) {
      this.#warnings.warnOnce(
        'RATETHROTTLE_HOOK_FAILED',
        () => `priority of overload failed: ${reasonOf(error)}`,
      )
      return 'normal'
    }
  }

  #rejected(event: RejectEvent): void {
    publish(this.#warnings, 'onReject', this.#onReject, OVERLOAD, event)
  }
}

/** Gives the room back when the response has ended, or can't. */
function leaveWith(response: ServerResponse, room: Room): void {
  response.once('finish', () => room.leave(true))
  response.once('close', () => room.leave(false))
  if (response.socket !== null) return
  // A response that waits behind others on its connection hears nothing when that closes. What it has to say is
  // ready when its headers are: it need not wait for its turn.
  onEnd(response, () => {
    if (response.socket === null) room.leave(false)
  })
}
