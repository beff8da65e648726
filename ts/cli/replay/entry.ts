/** Why a line is not counted. */
export const FLAWS = {
  long: 'longer than 65,536 bytes',
  format: 'neither a combined or common log line nor a JSON object',
  json: 'broken JSON',
  time: 'no time that can be read',
  client: 'no client address',
  request: 'no request: no method and path',
} as const

export type Flaw = keyof typeof FLAWS

/** Longest line that is read, in bytes. */
export const MAX_LINE = 65_536

/**
 * What a line says of its request, as places in `bytes`: texts are made for new clients only. One object serves all
 * lines, and is overwritten by each. A text that is not there ends where it begins.
 */
export class Entry {
  bytes: Buffer = Buffer.alloc(0)
  /** Milliseconds since 1970, whole. */
  timeMs = 0
  clientFrom = 0
  clientTo = 0
  /** The user, or the field that option `--key` names. */
  userFrom = 0
  userTo = 0
  methodFrom = 0
  methodTo = 0
  /** Without the query. */
  pathFrom = 0
  pathTo = 0

  clear(bytes: Buffer): void {
    this.bytes = bytes
    this.clientFrom = this.clientTo = this.userFrom = this.userTo = 0
    this.methodFrom = this.methodTo = this.pathFrom = this.pathTo = 0
  }
}

export const SPACE = 0x20
export const QUOTE = 0x22
export const BACKSLASH = 0x5c
export const SLASH = 0x2f
export const DASH = 0x2d

/** The place of a byte from `from` on, or `to`. */
export function placeOf(byte: number, bytes: Buffer, from: number, to: number): number {
  let at = from
  while (at < to && bytes[at] !== byte) at++
  return at
}

/** The place of the quotation mark that ends a text, or -1. What follows a backslash ends nothing. */
export function endOfQuoted(bytes: Buffer, from: number, to: number): number {
  for (let at = from; at < to; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) return at
    if (byte === BACKSLASH) at++
  }
  return -1
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

/**
 * Reads method and path of a request line, such as `GET /a?b HTTP/1.1`, into the entry.
 *
 * @returns whether there are both
 */
export function readRequestLine(bytes: Buffer, from: number, to: number, entry: Entry): boolean {
  const methodTo = placeOf(SPACE, bytes, from, to)
  if (methodTo === from || methodTo === to) return false
  for (let at = from; at < methodTo; at++) {
    // Letters, and the dash and underscore that some methods have.
    const byte = bytes[at] as number
    const letter = byte | 0x20
    if ((letter < 0x61 || letter > 0x7a) && byte !== DASH && byte !== 0x5f) return false
  }
  entry.methodFrom = from
  entry.methodTo = methodTo
  return readTarget(bytes, methodTo + 1, placeOf(SPACE, bytes, methodTo + 1, to), entry)
}

/** Reads the path of a request's target, such as `/a?b` or `http://host/a`, into the entry. */
export function readTarget(bytes: Buffer, from: number, to: number, entry: Entry): boolean {
  if (from >= to) return false
  let start = from
  if (bytes[from] !== SLASH) start = afterOrigin(bytes, from, to)
  let end = start
  while (end < to && bytes[end] !== 0x3f && bytes[end] !== 0x23) end++
  entry.pathFrom = start
  entry.pathTo = end
  return true
}

/** The place of the path in `http://host/path`; `from` if there is no `://`. */
function afterOrigin(bytes: Buffer, from: number, to: number): number {
  const colon = placeOf(0x3a, bytes, from, to)
  if (bytes[colon + 1] !== SLASH || bytes[colon + 2] !== SLASH || colon + 2 >= to) return from
  return placeOf(SLASH, bytes, colon + 3, to)
}
