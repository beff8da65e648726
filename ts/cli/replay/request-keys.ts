import { createHash } from 'node:crypto'
import { addressKey, canonical } from '../../client-ip/ip.ts'
import { DASH, type Entry, isDigit, SLASH, SPACE } from './entry.ts'
import { isHex } from './json-scanner.ts'

/** Whom a request is counted for: by address, by user (or another field), or by address and path. */
export type KeyKind = 'ip' | 'user' | 'ip+path'

/** Longest key in bytes; of a longer one a part and a hash are taken. */
const MAX_KEY = 256
const SHORTENED = 200
/** Longest route in bytes. */
const MAX_ROUTE = 200
/** Spellings of addresses whose key is remembered. */
const MAX_SPELLINGS = 4_096
const DOT = 0x2e
const ID = Buffer.from(':id')

/** Where a key stands: read at once, because the next call overwrites it. */
export interface Place {
  bytes: Buffer
  from: number
  to: number
}

/** Writes the keys and routes of requests as bytes. */
export class RequestKeys {
  /** Lines whose client is no address: a host name, or a socket's. */
  names = 0
  readonly #kind: KeyKind
  readonly #place: Place = { bytes: Buffer.alloc(0), from: 0, to: 0 }
  readonly #scratch: Buffer = Buffer.allocUnsafe(2 ** 18)
  readonly #spellings = new Map<string, string>()

  constructor(kind: KeyKind) {
    this.#kind = kind
  }

  /** The key of a request; undefined if it has none. */
  key(entry: Entry): Place | undefined {
    const { bytes } = entry
    if (this.#kind === 'user') return this.#bounded(this.#at(bytes, entry.userFrom, entry.userTo))
    const address = this.#address(entry)
    if (this.#kind === 'ip' || address === undefined) return address
    let length = address.bytes.copy(this.#scratch, 0, address.from, address.to)
    this.#scratch[length++] = SPACE
    length += bytes.copy(this.#scratch, length, entry.pathFrom, entry.pathTo)
    return this.#bounded(this.#at(this.#scratch, 0, length))
  }

  /** Method and path with `:id` for numbers, UUIDs and long hexadecimal ids. */
  route(entry: Entry): Place {
    const { bytes, methodFrom, methodTo, pathFrom } = entry
    const out = this.#scratch
    let length = copied(bytes, methodFrom, Math.min(methodTo, methodFrom + 32), out, 0)
    if (length > 0) out[length++] = SPACE
    const pathTo = Math.min(entry.pathTo, pathFrom + 1024)
    let segment = pathFrom
    for (let at = pathFrom; at <= pathTo; at++) {
      if (at < pathTo && bytes[at] !== SLASH) continue
      const isCollapsed = isId(bytes, segment, at)
      length += isCollapsed ? ID.copy(out, length) : copied(bytes, segment, at, out, length)
      if (at < pathTo) out[length++] = SLASH
      segment = at + 1
    }
    return this.#at(out, 0, Math.min(length, MAX_ROUTE))
  }

  #at(bytes: Buffer, from: number, to: number): Place {
    const place = this.#place
    place.bytes = bytes
    place.from = from
    place.to = to
    return place
  }

  #address({ bytes, clientFrom, clientTo }: Entry): Place | undefined {
    if (isIPv4(bytes, clientFrom, clientTo)) return this.#at(bytes, clientFrom, clientTo)
    if (clientTo === clientFrom || (clientTo - clientFrom === 1 && bytes[clientFrom] === DASH)) {
      return undefined
    }
    const spelling = bytes.toString('latin1', Math.max(clientFrom, clientTo - 1024), clientTo)
    const key = this.#spellings.get(spelling) ?? this.#spell(spelling)
    if (key === '') return undefined
    if (key.startsWith('name:')) this.names++
    return this.#bounded(this.#at(this.#scratch, 0, this.#scratch.write(key, 0, 'latin1')))
  }

  #spell(spelling: string): string {
    const key = keyOfClient(spelling)
    if (this.#spellings.size >= MAX_SPELLINGS) this.#spellings.clear()
    this.#spellings.set(spelling, key)
    return key
  }

  #bounded(place: Place | undefined): Place | undefined {
    if (place === undefined || place.from >= place.to) return undefined
    if (place.to - place.from <= MAX_KEY) return place
    const { bytes, from, to } = place
    const hash = createHash('sha256').update(bytes.subarray(from, to)).digest('hex')
    const key = `${bytes.toString('latin1', from, from + SHORTENED)}...${hash.slice(0, 32)}`
    return this.#at(this.#scratch, 0, this.#scratch.write(key, 0, 'latin1'))
  }
}

/** Whether the bytes are an IPv4 address as Node reads it: four numbers up to 255 without leading zeros. */
export function isIPv4(bytes: Buffer, from: number, to: number): boolean {
  if (to - from < 7 || to - from > 15) return false
  let at = from
  for (let part = 0; part < 4; part++) {
    const end = endOfPart(bytes, at, to)
    if (end < 0) return false
    if (part === 3) return end === to
    if (end >= to || bytes[end] !== DOT) return false
    at = end + 1
  }
  return false
}

/** Where a number up to 255 ends, or -1. */
function endOfPart(bytes: Buffer, from: number, to: number): number {
  let number = 0
  let at = from
  for (; at < to && isDigit(bytes[at]); at++) {
    if (number === 0 && at > from) return -1
    number = number * 10 + (bytes[at] as number) - 0x30
  }
  return at > from && number <= 255 ? at : -1
}

/**
 * The key of a client as a log writes it: an address, perhaps with a port or in brackets, or the last address of a
 * list, which the nearest proxy added. IPv6 counts by /64, as limiters do.
 */
function keyOfClient(spelling: string): string {
  const last = spelling.slice(spelling.lastIndexOf(',') + 1).trim()
  const address = canonical(last) ?? canonical(withoutPort(last))
  if (address !== undefined) return addressKey(address)
  return last === '' || last === '-' ? '' : `name:${last}`
}

function withoutPort(text: string): string {
  if (text.startsWith('[')) return text.slice(1, Math.max(1, text.indexOf(']')))
  return text.slice(0, Math.max(0, text.lastIndexOf(':')))
}

/** `Buffer.copy` without its checks: these are a few bytes. */
function copied(bytes: Buffer, from: number, to: number, out: Buffer, at: number): number {
  for (let i = from; i < to; i++) out[at + i - from] = bytes[i] as number
  return to - from
}

function isId(bytes: Buffer, from: number, to: number): boolean {
  const length = to - from
  if (length === 0 || !isHex(bytes[from] as number)) return false
  let digits = 0
  let dashes = 0
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number
    if (isDigit(byte)) digits++
    else if (byte === DASH) dashes++
    else if (!isHex(byte)) return false
  }
  if (digits === length) return true
  if (dashes === 0) return length >= 16 && digits > 0
  return length === 36 && dashes === 4 && [8, 13, 18, 23].every((at) => bytes[from + at] === DASH)
}
