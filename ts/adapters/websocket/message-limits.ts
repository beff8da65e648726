import type { IncomingMessage } from 'node:http'
import { CallLimiter } from '../../calls/call-limiter.ts'
import type { Decision } from '../../decision.ts'
import { ACCEPTED_KEY, textOf } from '../../http/client.ts'
import { type Events, reasonOf, type Warnings } from '../../http/events.ts'
import { isNone } from '../../http/key-functions.ts'
import { andThen, type MaybePromise, type StoreStatus, toPromise } from '../../limiter.ts'
import type { ReadSocketOptions } from './options.ts'
import type { SocketLimitEvent, SocketMessage } from './types.ts'

/** A message that the limits do not admit now. */
export interface Excess {
  readonly reason: 'messages' | 'bytes' | 'size'
  readonly key: string
  /** `Infinity` for one that is never admitted. */
  readonly retryAfterMs: number
}

/** The sender of messages. */
export interface Sender {
  readonly request: IncomingMessage
  /** What its messages are counted by, unless `messageKey` says something else. */
  readonly key: string
}

/** Limits messages by number and by bytes: both are charged, or neither. */
export class MessageLimits {
  /** Whether messages are limited at all. */
  readonly isOn: boolean
  readonly #messages: CallLimiter | undefined
  readonly #bytes: CallLimiter | undefined
  readonly #read: ReadSocketOptions
  readonly #events: Events
  readonly #warnings: Warnings

  constructor(read: ReadSocketOptions, events: Events, warnings: Warnings, place: string) {
    const { ofMessages, ofBytes, maxMessageBytes } = read
    this.#messages = ofMessages && new CallLimiter(ofMessages, `${place} messages`)
    this.#bytes = ofBytes && new CallLimiter(ofBytes, `${place} bytes`)
    this.isOn = [ofMessages, ofBytes, maxMessageBytes].some((option) => option !== undefined)
    this.#read = read
    this.#events = events
    this.#warnings = warnings
  }

  /** Who sends the messages of a connection. */
  senderOf(request: IncomingMessage, client: string): Sender {
    if (this.#read.per === 'client') return { request, key: client }
    // Not a number: other processes count in the same store.
    return { request, key: process.getBuiltinModule('node:crypto').randomUUID() }
  }

  /** Charges a message: `undefined` if it is admitted. */
  charge(message: SocketMessage, sender: Sender): MaybePromise<Excess | undefined> {
    const { bytes } = message
    const { maxMessageBytes, messageKey } = this.#read
    if (maxMessageBytes !== undefined && bytes > maxMessageBytes) {
      return { reason: 'size', key: sender.key, retryAfterMs: Number.POSITIVE_INFINITY }
    }
    const key = messageKey === undefined ? sender.key : this.#keyOf(message, sender)
    const decision = this.#messages?.check(key)
    if (decision instanceof Promise) {
      return decision.then((found) => this.#chargeBytes(found, key, bytes))
    }
    return this.#chargeBytes(decision, key, bytes)
  }

  #chargeBytes(
    ofMessage: Decision | undefined,
    key: string,
    bytes: number,
  ): MaybePromise<Excess | undefined> {
    if (ofMessage?.allowed === false) return excess('messages', key, ofMessage)
    if (this.#bytes === undefined || bytes === 0) return undefined
    return andThen(this.#bytes.check(key, bytes), (decision) => {
      if (decision?.allowed !== false) return undefined
      // It is charged again when it is admitted.
      return andThen(this.#messages?.refund(key, 1), () => excess('bytes', key, decision))
    })
  }

  #keyOf(message: SocketMessage, { request, key }: Sender): string {
    try {
      const found = toPromise<unknown>(this.#read.messageKey?.(message, request))
      // An unhandled rejection would end the process.
      if (found instanceof Promise) found.catch(() => {})
      if (isNone(found)) return key
      const text = textOf(found)
      if (text !== undefined) return text
      throw new TypeError(`messageKey must return ${ACCEPTED_KEY}`)
    } catch (error) {
      this.#events.failed(request, error)
      return key
    }
  }

  /** Tells `onLimit`. It must not throw; if it does, the connection goes on. */
  tell(event: SocketLimitEvent): void {
    const { onLimit } = this.#read
    if (onLimit === undefined) return
    const failed = (error: unknown): void => {
      const message = (): string => `onLimit threw: ${reasonOf(error)}`
      this.#warnings.warnOnce('RATETHROTTLE_HOOK_FAILED', message)
    }
    try {
      const returned = toPromise<unknown>(onLimit(event))
      if (returned instanceof Promise) returned.catch(failed)
    } catch (error) {
      failed(error)
    }
  }

  async ready(): Promise<StoreStatus> {
    const states = await Promise.all([this.#messages?.ready(), this.#bytes?.ready()])
    const away = states.find((state) => state?.available === false)
    return away ?? { available: true, reason: undefined }
  }

  close(): void {
    this.#messages?.close()
    this.#bytes?.close()
  }
}

function excess(reason: Excess['reason'], key: string, { retryAfterMs }: Decision): Excess {
  return { reason, key, retryAfterMs }
}
