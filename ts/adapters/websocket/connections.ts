import type { IncomingMessage } from 'node:http'
import { Warnings } from '../../http/events.ts'
import type { StoreStatus } from '../../limiter.ts'
import { andThen, type MaybePromise } from '../../limiter.ts'
import { nextLimiterName } from '../../storage-url.ts'
import { invalid } from '../../validate.ts'
import type { Gate } from './gate.ts'
import { Admission, type ConnectRefusal, Handshake } from './handshake.ts'
import {
  type Answer,
  answerNothing,
  type Closing,
  HandshakeResponse,
} from './handshake-response.ts'
import { MessageLimits } from './message-limits.ts'
import { type ReadSocketOptions, readSocketOptions, type SocketLimitsOptions } from './options.ts'
import { closingOf, refuseHandshake } from './refusals.ts'
import type { WebSocketLike } from './types.ts'
import { gateOf } from './web-socket.ts'
import type { Rules } from './wire.ts'

/** What an insight and a store call limiters without a name. */
const OPEN = 1

/** All that one `socketLimits` knows of its connections. */
export class Connections {
  readonly read: ReadSocketOptions
  readonly handshake: Handshake
  readonly messages: MessageLimits
  readonly rules: Rules
  /** Connections that were admitted before they were upgraded. */
  readonly #admitted = new WeakMap<object, Admission>()
  /** Sockets that have a gate, with what was said about them. */
  readonly #attached = new WeakMap<object, MaybePromise<boolean>>()

  constructor(options: SocketLimitsOptions) {
    const place = nextLimiterName()
    const warnings = new Warnings()
    this.read = readSocketOptions(options, place)
    this.handshake = new Handshake(this.read, warnings, place)
    const { events } = this.handshake
    try {
      this.messages = new MessageLimits(this.read, events, warnings, place)
    } catch (error) {
      this.handshake.close()
      throw error
    }
    this.rules = {
      limits: this.messages,
      overflow: this.read.overflow,
      isDryRun: this.handshake.isDryRun,
      leftovers: { bytes: 0 },
      waiting: new Set(),
      failed: ({ request }, error) => events.failed(request, error),
    }
  }

  /**
   * Decides about a connection before it is upgraded, and answers it if it is refused.
   *
   * @param over what closes when the client leaves
   * @param admit goes on with one that is admitted
   */
  decide(
    request: IncomingMessage,
    over: Closing,
    answer: Answer,
    admit: (admission: Admission, response: HandshakeResponse) => void,
  ): void {
    const response = new HandshakeResponse(over, answer)
    const conclude = (outcome: Admission | ConnectRefusal): void => {
      if (!(outcome instanceof Admission)) {
        refuseHandshake(this.handshake, outcome, request, response, this.read.resolved.headers)
        return
      }
      // The client has left while it was decided about.
      if (response.isFinished) {
        outcome.leave()
        return
      }
      response.admit()
      this.#admitted.set(request, outcome)
      admit(outcome, response)
    }
    void andThen(this.handshake.decide(request, response), conclude)
  }

  /** What was said about a request before it was upgraded. */
  admissionOf(request: object): Admission | undefined {
    return this.#admitted.get(request)
  }

  /** What was said about a request holds no longer. */
  forget(request: object): void {
    this.#admitted.delete(request)
  }

  /** Limits the messages of a socket of ws, and decides about its connection unless that was done before. */
  attach(socket: WebSocketLike, request: IncomingMessage): MaybePromise<boolean> {
    checkSocket(socket)
    checkRequest(request)
    const known = this.#attached.get(socket)
    if (known !== undefined) return known
    const admission = this.#admitted.get(request)
    const isAdmitted =
      admission === undefined
        ? this.#attachLate(socket, request)
        : this.#open(socket, request, admission)
    this.#attached.set(socket, isAdmitted)
    return isAdmitted
  }

  /** One that was admitted before it was upgraded. Its permit is given back when the connection below closes. */
  #open(socket: WebSocketLike, request: IncomingMessage, { key }: Admission): boolean {
    if (key === undefined || !this.messages.isOn) return true
    const gate = gateOf(socket, this.rules, () => {})
    this.#begin(gate, request, key)
    return true
  }

  /** A program's handler may only listen once it has awaited what `attach` says. */
  #begin(gate: Gate, request: IncomingMessage, key: string | undefined): void {
    const sender = key === undefined ? undefined : this.messages.senderOf(request, key)
    setImmediate(() => gate.open(sender))
  }

  /** The handshake is over: a refused client is told why by a close frame. */
  #attachLate(socket: WebSocketLike, request: IncomingMessage): MaybePromise<boolean> {
    let left: (() => void) | undefined
    let admission: Admission | undefined
    const over: Closing = {
      once: (_, listener) => {
        left = listener
      },
      removeListener: () => {
        left = undefined
      },
    }
    const response = new HandshakeResponse(over, answerNothing)
    const gate = gateOf(socket, this.rules, () => {
      left?.()
      admission?.leave()
    })
    return andThen(this.handshake.decide(request, response), (outcome) => {
      if (!(outcome instanceof Admission)) {
        gate.shut(...closingOf(outcome))
        return false
      }
      if (socket.readyState > OPEN || response.isFinished) {
        outcome.leave()
        gate.abandon()
        return false
      }
      admission = outcome
      response.admit()
      this.#begin(gate, request, outcome.key)
      return true
    })
  }

  async ready(): Promise<StoreStatus> {
    const states = await Promise.all([this.handshake.ready(), this.messages.ready()])
    return states.find(({ available }) => !available) ?? { available: true, reason: undefined }
  }

  close(): void {
    this.handshake.close()
    this.messages.close()
    for (const gate of [...this.rules.waiting]) gate.ask()
  }
}

/** @throws TypeError unless it is a socket of ws */
function checkSocket(socket: unknown): void {
  const methods = ['emit', 'pause', 'resume', 'close', 'terminate'] as const
  const isSocket =
    typeof socket === 'object' &&
    socket !== null &&
    methods.every((name) => typeof (socket as Record<string, unknown>)[name] === 'function')
  if (isSocket) return
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'socket', 'a WebSocket of ws', socket)
}

/** @throws TypeError unless it is a request of node:http: without it there is no client */
function checkRequest(request: unknown): void {
  if (typeof request === 'object' && request !== null && 'headers' in request) return
  const accepted = 'the request that was upgraded'
  throw invalid(TypeError, 'INVALID_ARGUMENT', 'request', accepted, request)
}
