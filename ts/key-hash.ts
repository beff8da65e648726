/** Longest key, in characters, that is kept as it is; a longer one is replaced by its hash. */
export const MAX_PLAIN_KEY_LENGTH = 128
/** Start of the hash of a key. Escaped text never starts like this. */
const HASHED = '%-'

/** Loaded by the first call: most processes hash nothing, and node:crypto takes milliseconds to load. */
export let createHash: Crypto['createHash'] = (...args) => {
  createHash = process.getBuiltinModule('node:crypto').createHash
  return createHash(...args)
}
type Crypto = typeof import('node:crypto')

/**
 * SHA-256 of a text in base64url, over its UTF-16 code units: texts that differ only in a lone surrogate have
 * different hashes.
 */
export function hashText(text: string): string {
  return createHash('sha256').update(Buffer.from(text, 'utf16le')).digest('base64url')
}

/** The hash that replaces a long key. */
export function hashKey(key: string): string {
  return `${HASHED}${hashText(key)}`
}

/**
 * The entry of a key in a table in memory: the key, or the hash of a long one. So a table that is bounded in
 * entries is bounded in bytes.
 */
export function tableKey(key: string): string {
  return key.length > MAX_PLAIN_KEY_LENGTH || key.startsWith(HASHED) ? hashKey(key) : key
}

/** V8 copies a slice of a text that is shorter than this; a longer one points into the whole text. */
export const SHORTEST_SLICE = 13
const BEYOND_LATIN = /[^\0-\xff]/

/**
 * A copy that keeps no other text alive: a key that was cut from a header of 16 KB keeps all of it alive for
 * as long as the key itself is kept. For keys that are stored, not for keys that are looked up.
 */
export function flat(text: string): string {
  if (text.length < SHORTEST_SLICE) return text
  const encoding = BEYOND_LATIN.test(text) ? 'utf16le' : 'latin1'
  return Buffer.from(text, encoding).toString(encoding)
}
