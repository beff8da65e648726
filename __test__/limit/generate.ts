import type { Limit } from '../../ts/limit/limit.ts'

/** A repeatable source of numbers in [0, 1). */
export type Random = () => number

const { SEED: givenSeed } = process.env

/** The seed of this run: `SEED=...` repeats one. Each test prints it. */
export const SEED = Number(givenSeed ?? Math.floor(Math.random() * 2 ** 32))

/** mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export function integer(random: Random, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1))
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[integer(random, 0, from.length - 1)] as T
}

const SECOND = 1_000
const DAY = 86_400 * SECOND
const MAX_WINDOW = 3_650 * DAY

const SPELLINGS: readonly (readonly [number, readonly string[]])[] = [
  [1, ['ms', 'millisecond', 'milliseconds']],
  [SECOND, ['s', 'sec', 'secs', 'second', 'seconds']],
  [60 * SECOND, ['m', 'min', 'mins', 'minute', 'minutes']],
  [3_600 * SECOND, ['h', 'hr', 'hrs', 'hour', 'hours']],
  [DAY, ['d', 'day', 'days']],
  [7 * DAY, ['w', 'week', 'weeks']],
  [30 * DAY, ['month', 'months']],
  [365 * DAY, ['year', 'years']],
]

/** A valid text and its meaning. */
export interface Sample {
  readonly text: string
  readonly limits: readonly Limit[]
}

/** A valid limit string of one to 16 limits, in any spelling, case and spacing. */
export function validSample(random: Random): Sample {
  const size = random() < 0.6 ? 1 : integer(random, 2, 16)
  const items = Array.from({ length: size }, () => validItem(random))
  const text = items
    .map((item) => item.text)
    .reduce((a, b) => a + pick(random, [';', ',', '|']) + b)
  return { text, limits: items.map((item) => item.limit) }
}

function validItem(random: Random): { readonly text: string; readonly limit: Limit } {
  const [unit, spellings] = pick(random, SPELLINGS)
  // Every order of magnitude as often as the next, both ends included.
  const count = magnitude(random, 1_000_000_000)
  const multiple = random() < 0.5 ? undefined : magnitude(random, Math.floor(MAX_WINDOW / unit))
  const some = (): string => blanks(random, 0)
  const per =
    random() < 0.5 ? `${some()}/` : blanks(random, 1) + anyCase(random, 'per') + blanks(random, 1)
  const unitText = anyCase(random, pick(random, spellings))
  const text = `${some()}${count}${per}${some()}${multiple ?? ''}${some()}${unitText}${some()}`
  return { text, limit: { count, windowMs: (multiple ?? 1) * unit } }
}

function magnitude(random: Random, max: number): number {
  if (random() < 0.05) return max
  return Math.min(max, Math.floor(10 ** (random() * Math.log10(max))))
}

function blanks(random: Random, atLeast: number): string {
  const length = random() < 0.6 ? atLeast : integer(random, atLeast, 3)
  return Array.from({ length }, () => pick(random, [' ', '\t'])).join('')
}

function anyCase(random: Random, word: string): string {
  return [...word].map((c) => (random() < 0.3 ? c.toUpperCase() : c)).join('')
}

const JUNK = [
  ...[
    '0',
    '1',
    '5',
    '10',
    '007',
    '100',
    '1000000000',
    '1000000001',
    '99999999999999999999',
    '1e3',
    '1.5',
  ],
  ...[
    '/',
    '/',
    '/',
    ' ',
    ' ',
    '\t',
    'per',
    ' per ',
    ' PER ',
    ';',
    ',',
    '|',
    '; ',
    '//',
    '-',
    '+',
    '.',
    '_',
    'e',
  ],
  ...[
    's',
    'ms',
    'min',
    'm',
    'hour',
    'HOURS',
    'days',
    'week',
    'month',
    'years',
    'minute',
    'fortnight',
    'minuet',
  ],
  ...[
    '5/s',
    '10/15 minutes',
    '3 per 2 h',
    '\n',
    '\r',
    '\v',
    '\0',
    '\u001b[31m',
    '\u007f',
    '\u0085',
    '\u00a0',
  ],
  ...[
    '\u3000',
    '\u2009',
    '\u200b',
    '\ufeff',
    '\u2028',
    '\u202e',
    '\uff11',
    '\uff0f',
    '\u0663',
    '\u212a',
    '\u017f',
  ],
  ...[
    '\ud800',
    '\udc00',
    '\u{1f600}',
    '\u2044',
    '\u037e',
    '__proto__',
    'constructor',
    'toString',
    '"',
    '\\',
    'NaN',
  ],
]

/** Pieces of the grammar and junk in any order, or a valid text with one to three small mistakes. */
export function hostileText(random: Random): string {
  if (random() < 0.5) {
    return Array.from({ length: integer(random, 0, 10) }, () => pick(random, JUNK)).join('')
  }
  let { text } = validSample(random)
  for (let i = integer(random, 1, 3); i > 0; i--) text = injure(random, text)
  return text
}

function injure(random: Random, text: string): string {
  const at = integer(random, 0, text.length)
  const cut = pick(random, [0, 0, 1, 1, 2])
  const put = random() < 0.6 ? pick(random, JUNK) : ''
  return text.slice(0, at) + put + text.slice(at + cut)
}
