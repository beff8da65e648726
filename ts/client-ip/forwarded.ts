import { hopAddress, MAX_HOP_LENGTH, MAX_HOPS, withoutBlanks } from './hop.ts'

// Both readers go from the right and stop where the caller stops. That bounds the work, and it keeps what the
// client wrote (on the left) from changing how the proxy's own entry (on the right) is read: an open quote
// sent ahead would swallow that entry if it were read from the left.

/** All that 64 hops of the longest kind and their commas can take. */
const MAX_LIST_LENGTH: number = MAX_HOPS * (MAX_HOP_LENGTH + 1)
/**
 * As long as all headers of a request may be unless Node is told otherwise. Not less, because a proxy may write
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
 * @returns from the right, at most 64: the canonical address, or undefined for an entry that is none, an
 * empty one included
 */
export function* forwardedFor(text: string): Generator<string | undefined, void> {
  const list = text.slice(-MAX_LIST_LENGTH)
  let end = list.length
  for (let hops = 0; hops < MAX_HOPS && end >= 0; hops++) {
    const comma = end === 0 ? -1 : list.lastIndexOf(',', end - 1)
    // What begins before the part that is read may be the tail of something longer.
    const isCut = comma === -1 && list.length < text.length
    yield isCut ? undefined : hopAddress(withoutBlanks(list.slice(comma + 1, end)))
    end = comma
  }
}

/**
 * Hops of a `Forwarded` header (RFC 7239): the `for` of each element.
 *
 * @param text the header's value, however long or hostile; at most its last 16,384 characters are read
 * @returns from the right, at most 64: the canonical address, or undefined for an element that hides it
 * (`for=_hidden`, `for=unknown`), has no `for` or more than one, or is malformed
 */
export function* forwarded(text: string): Generator<string | undefined, void> {
  const list = text.slice(-MAX_FORWARDED_LENGTH)
  let end = list.length
  for (let hops = 0; hops < MAX_HOPS && end >= 0; hops++) {
    const start = elementStart(list, end)
    const isCut = start === 0 && list.length < text.length
    yield start === undefined || isCut ? undefined : forOf(list.slice(start, end))
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
