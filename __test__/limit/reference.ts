import type { Limit } from '../../ts/limit/limit.ts'

// A slow reference for the parser: regular expressions, bigints and nothing shared with it but the Limit type.

const ITEM =
  /^[ \t]*([1-9][0-9]*)(?:[ \t]*\/[ \t]*|[ \t]+[Pp][Ee][Rr][ \t]+)(?:([1-9][0-9]*)[ \t]*)?([A-Za-z]+)[ \t]*$/

const UNITS: readonly (readonly [RegExp, bigint])[] = [
  [/^(ms|milliseconds?)$/i, 1n],
  [/^(s|secs?|seconds?)$/i, 1_000n],
  [/^(m|mins?|minutes?)$/i, 60n * 1_000n],
  [/^(h|hrs?|hours?)$/i, 60n * 60n * 1_000n],
  [/^(d|days?)$/i, 24n * 60n * 60n * 1_000n],
  [/^(w|weeks?)$/i, 7n * 24n * 60n * 60n * 1_000n],
  [/^months?$/i, 30n * 24n * 60n * 60n * 1_000n],
  [/^years?$/i, 365n * 24n * 60n * 60n * 1_000n],
]

/** The limits in a text, or `undefined` if it is not accepted. */
export function referenceParse(text: string): readonly Limit[] | undefined {
  const items = text.split(/[;,|]/)
  if (text.length > 1024 || items.length > 16) return undefined
  const limits = items.map(referenceItem)
  return limits.every((limit) => limit !== undefined) ? limits : undefined
}

function referenceItem(item: string): Limit | undefined {
  const [, count, multiple, word] = ITEM.exec(item) ?? []
  const unit = UNITS.find(([spelling]) => word !== undefined && spelling.test(word))
  if (count === undefined || unit === undefined) return undefined
  const windowMs = BigInt(multiple ?? 1) * unit[1]
  if (BigInt(count) > 10n ** 9n || windowMs > 10n * 365n * 24n * 60n * 60n * 1_000n)
    return undefined
  return { count: Number(count), windowMs: Number(windowMs) }
}
