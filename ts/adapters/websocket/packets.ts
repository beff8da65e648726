import type { Excess } from './message-limits.ts'
import type { Passing } from './wire.ts'

/** Of a packet of socket.io: its type, how many binary parts follow, its namespace, and the id of its answer. */
const HEAD = /^([0-6])(?:(\d{1,9})-)?(\/[^,]{0,1000},)?(\d{1,15})?/
const BINARY_TYPES = ['5', '6']
const DISCONNECT = '1'
const EVENT_TYPES = ['2', '5']
const MAX_PARTS_BYTES = 16_777_216
/** What an event costs in memory besides its bytes: parts may be empty. */
const OVERHEAD = 256

/** Puts the binary parts of a packet of socket.io together with it: it passes as a whole, or not at all. */
export class Assembly {
  readonly #whole: (message: Passing) => void
  #events: (readonly unknown[])[] = []
  #first: unknown
  #bytes = 0
  #missing = 0

  constructor(whole: (message: Passing) => void) {
    this.#whole = whole
  }

  /** @param data what engine.io has read: a text or a Buffer */
  add(data: unknown): true {
    const isText = typeof data === 'string'
    // A text in place of a part: socket.io refuses the packet.
    if (isText && this.#missing > 0) this.#pass()
    if (this.#missing === 0) {
      this.#first = data
      this.#missing = isText ? partsOf(data) : 0
    } else this.#missing--
    this.#events.push(['data', data], ['message', data])
    this.#bytes += isText ? Buffer.byteLength(data) : sizeOf(data)
    const held = this.#bytes + this.#events.length * OVERHEAD
    if (this.#missing === 0 || held > MAX_PARTS_BYTES) this.#pass()
    return true
  }

  #pass(): void {
    const events = this.#events
    const [data, bytes] = [this.#first, this.#bytes]
    this.#events = []
    this.#first = undefined
    this.#bytes = 0
    this.#missing = 0
    const isText = typeof data === 'string'
    const isFree = isText && data.startsWith(DISCONNECT)
    this.#whole({ data, bytes, isBinary: !isText, events, isFree })
  }
}

function sizeOf(data: unknown): number {
  return (data as { readonly byteLength?: number } | null)?.byteLength ?? 0
}

function partsOf(text: string): number {
  const [, type = '', parts = '0'] = HEAD.exec(text) ?? []
  return BINARY_TYPES.includes(type) ? Number(parts) : 0
}

/** The answer to an event that was dropped, if its sender waits for one: `{ error: { code, retryAfter } }`. */
export function ackOf(data: unknown, { retryAfterMs }: Excess): string | undefined {
  if (typeof data !== 'string') return undefined
  const [, type = '', , namespace = '', id] = HEAD.exec(data) ?? []
  if (!EVENT_TYPES.includes(type) || id === undefined) return undefined
  const retryAfter = Number.isFinite(retryAfterMs) ? Math.ceil(retryAfterMs / 1_000) : undefined
  const error = { code: 'RATE_LIMIT_EXCEEDED', retryAfter }
  return `3${namespace}${id}${JSON.stringify([{ error }])}`
}
