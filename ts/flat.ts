/** V8 copies a part of a text that is shorter than this; a longer one points into the whole text. */
const SHORTEST_SLICE = 13
const BEYOND_LATIN = /[^\0-\xff]/

/**
 * A copy that holds on to nothing else: a key that was cut from a header of 16 KB keeps all of it alive for
 * as long as the key itself is kept. For what is remembered, not for what is looked up.
 */
export function flat(text: string): string {
  if (text.length < SHORTEST_SLICE) return text
  const encoding = BEYOND_LATIN.test(text) ? 'utf16le' : 'latin1'
  return Buffer.from(text, encoding).toString(encoding)
}
