import { createHash } from 'node:crypto'
import { mustBe } from '../errors.ts'

/** Most characters of a key that stand in the name of its state; longer ones are hashed. */
const LONGEST_IN_FULL = 128
/** What ends a hash tag, what escaping itself needs, and what is no text. */
const UNSAFE = /[%{}\p{Cc}\p{Z}]|\p{Surrogate}/gu
const PLAIN = /^[\w.:@/-]*$/
/** What the name of a hashed key begins with, and that of no other. */
const HASHED = '%-'
const MAX_PREFIX_LENGTH = 256

/** Default of `keyPrefix`. */
export const DEFAULT_PREFIX = 'ratethrottle:'

/**
 * Names the state of a key in Redis: `<prefix><name>:<policy>:{<key>}`.
 *
 * Different keys have different names, lone surrogates and all. The braces are the only ones, so that
 * Redis Cluster puts all that belongs to a key into one slot.
 *
 * @param prefix as {@link readPrefix} returns it
 */
export function namer(prefix: string, name: string, mark: string): (key: string) => string {
  const before = `${prefix}${groupOf(name, mark)}:{`
  return (key) => `${before}${tagOf(key)}}`
}

/** Tells limiters with one prefix apart that do not share their counters. */
export function groupOf(name: string, mark: string): string {
  return `${escaped(name)}:${mark}`
}

/** The name of what is not about one key. */
export function sharedName(prefix: string, what: string): string {
  return `${prefix}{${what}}`
}

/**
 * Checks a `keyPrefix`.
 *
 * @throws TypeError or RangeError unless it is a text of at most 256 characters without braces: the first
 * brace of a name decides on its slot
 */
export function readPrefix(value: unknown): string {
  const accepted = `a text of at most ${MAX_PREFIX_LENGTH} characters without { and }`
  if (value === undefined) return DEFAULT_PREFIX
  if (typeof value !== 'string') throw new TypeError(mustBe('keyPrefix', accepted, value))
  const tagged = value.includes('{') || value.includes('}')
  if (tagged || value.length > MAX_PREFIX_LENGTH || !value.isWellFormed()) {
    throw new RangeError(mustBe('keyPrefix', accepted, value))
  }
  return value
}

/**
 * What stands for a key in the tables of what this process remembers: the key itself, or of a long one its
 * hash, so that a table with a bound in entries has one in bytes.
 */
export function tableKey(key: string): string {
  return key.length > LONGEST_IN_FULL || key.startsWith(HASHED) ? hashOf(key) : key
}

function tagOf(key: string): string {
  if (key.length > LONGEST_IN_FULL) return hashOf(key)
  if (key === '') return '%'
  return PLAIN.test(key) ? key : escaped(key)
}

/** Unit by unit, so that texts which differ in a lone surrogate only have different hashes. */
function hashOf(key: string): string {
  const hash = createHash('sha256').update(Buffer.from(key, 'utf16le'))
  return `${HASHED}${hash.digest('base64url')}`
}

function escaped(text: string): string {
  return text.replace(UNSAFE, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
