import { canonical, MAX_ADDRESS_LENGTH } from './ip.ts'

/** Most hops that are looked at, from the right. Real chains have one to five. */
export const MAX_HOPS = 64
/** Longest hop that is looked at, in UTF-16 code units; the longest real one, `[IPv6]:port`, has 53. */
export const MAX_HOP_LENGTH: number = MAX_ADDRESS_LENGTH

/** Digits, or what RFC 7239 calls an obfuscated port. */
const PORT = /^(?:\d{1,5}|_[\w.-]{1,63})$/
/** An IPv6 address in brackets, alone or with such a port. */
const BRACKETED = /^\[([^\]:]*:[^\]]*)\](?::(?:\d{1,5}|_[\w.-]{1,63}))?$/

// Both readers go from the right and stop where the caller stops. That bounds the work, and it keeps what the
// client wrote (on the left) from changing how the proxy's own entry (on the right) is read: an open quote
// sent ahead would swallow that entry if it were read from the left.

/** The length of 64 hops of the longest kind, with their commas. */
const MAX_LIST_LENGTH: number = MAX_HOPS * (MAX_HOP_LENGTH + 1)
/**
 * The longest headers that Node reads by default. Not less, because a proxy may write
 * the client's `Host` into its element: one that is too long to be read would hide the client behind the proxy.
 */
const MAX_FORWARDED_LENGTH = 16_384

const COMMA = 0x2c
const QUOTE = 0x22
const BACKSLASH = 0x5c

/**
 * Hops of an `X-Forwarded-For` header, or of a vendor's header that holds one address or a list.
 *
 * @param text the header's value, however long or hostile; at most its last 4,160 characters are read
 * @returns from the right, at most 64: the canonical address, or undefined for an entry that is no address, such
 * as an empty one
 */
export function forwardedFor(text: string): Generator<string | undefined, void> {
  const startOf = (list: string, end: number): number =>
    end === 0 ? 0 : list.lastIndexOf(',', end - 1) + 1
  return fromTheRight(text, MAX_LIST_LENGTH, startOf, (entry) => hopAddress(trimOws(entry)))
}

/**
 * Hops of a `Forwarded` header (RFC 7239): the `for` of each element.
 *
 * @param text the header's value, however long or hostile; at most its last 16,384 characters are read
 * @returns from the right, at most 64: the canonical address, or undefined for an element that hides it
 * (`for=_hidden`, `for=unknown`), has no `for` or more than one, or is malformed
 */
export function forwarded(text: string): Generator<string | undefined, void> {
  return fromTheRight(text, MAX_FORWARDED_LENGTH, elementStart, forOf)
}

/** @param startOf where the entry that ends at `end` starts, if it has a beginning */
function* fromTheRight(
  text: string,
  maxLength: number,
  startOf: (list: string, end: number) => number | undefined,
  addressIn: (entry: string) => string | undefined,
): Generator<string | undefined, void> {
  const list = text.slice(-maxLength)
  let end = list.length
  for (let hops = 0; hops < MAX_HOPS && end >= 0; hops++) {
    const start = startOf(list, end)
    // What begins before the part that is read may be the tail of something longer.
    const isCut = start === 0 && list.length < text.length
    yield start === undefined || isCut ? undefined : addressIn(list.slice(start, end))
    end = (start ?? 0) - 1
  }
}

/**
 * Where the element that ends at `end` starts: behind the nearest comma that is in no quoted string.
 *
 * From the right, the first quote ends a quoted string. All others in it have a backslash before them, and the
 * one that begins it has `=`: there is no need to count backslashes.
 *
 * @returns undefined if a quoted string has no beginning
 */
function elementStart(text: string, end: number): number | undefined {
  let isQuoted = false
  for (let i = end - 1; i >= 0; i--) {
    const code = text.charCodeAt(i)
    if (code === COMMA && !isQuoted) return i + 1
    if (code === QUOTE) isQuoted = !isQuoted || text.charCodeAt(i - 1) === BACKSLASH
  }
  return isQuoted ? undefined : 0
}

/** One `name=value`: the value a quoted string, or all that needs no quotes, and what we know needs them. */
const PAIR =
  /[ \t]*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+))[ \t]*(?:;|$)|[ \t]*(?:;|$)/y

/** The address in an element's only `for`. An element that is malformed anywhere says nothing. */
function forOf(element: string): string | undefined {
  let found: string | undefined
  PAIR.lastIndex = 0
  while (PAIR.lastIndex < element.length) {
    const pair = PAIR.exec(element)
    if (pair === null) return undefined
    if (pair[1]?.toLowerCase() !== 'for') continue
    if (found !== undefined) return undefined
    found = pair[2]?.replace(/\\(.)/g, '$1') ?? pair[3] ?? ''
  }
  return found === undefined ? undefined : hopAddress(found)
}

/**
 * The address in one entry of a forwarded header, without its optional port and brackets: `1.2.3.4`,
 * `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
 *
 * @param text one entry, blanks around it removed, however long or hostile
 * @returns the canonical address, or undefined if the entry is anything else. An entry with a zone counts
 * as anything else: a zone means something only on the machine that wrote it, and the sender could vary it at will
 */
export function hopAddress(text: string): string | undefined {
  if (text.length > MAX_HOP_LENGTH || text.includes('%')) return undefined
  if (text.startsWith('[')) return canonical(BRACKETED.exec(text)?.[1] ?? '')
  const colon = text.indexOf(':')
  // Several colons are an IPv6 address. Without brackets its last group would look like a port.
  if (colon === -1 || text.includes(':', colon + 1)) return canonical(text)
  return PORT.test(text.slice(colon + 1)) ? canonical(text.slice(0, colon)) : undefined
}

/** Removes optional white space as HTTP defines it (OWS): spaces and tabs, no others. */
function trimOws(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
