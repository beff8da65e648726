import { createHash } from 'node:crypto'

/** Longest key, in characters, that is kept as it is; a longer one is replaced by its hash. */
export const MAX_PLAIN_KEY_LENGTH = 128
/** Start of the hash of a key. Escaped text never starts like this. */
const HASHED = '%-'

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
