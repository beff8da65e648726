import { integer, invalid, printable, withCode } from '../validate.ts'

/** A number of units per window of time. */
export interface Limit {
  /** Units admitted per window: an integer from 1 to {@link MAX_COUNT}. */
  readonly count: number
  /** Length of the window in milliseconds: an integer from 1 to {@link MAX_WINDOW_MS}. */
  readonly windowMs: number
  /**
   * Units that the bucket holds: an integer from 1 to {@link MAX_COUNT}. For token-bucket and leaky-bucket.
   * Default: the count.
   */
  readonly burst?: number | undefined
}

/**
 * Limits as a user writes them: a limit string such as `'100/minute'` or `'10/second; 1000/hour'`,
 * a {@link Limit}, or an array of these.
 */
export type LimitInput = string | Limit | readonly (string | Limit)[]

/** Largest count of a limit. */
export const MAX_COUNT = 1_000_000_000
/** Longest window of a limit, in milliseconds: ten years of 365 days. */
export const MAX_WINDOW_MS = 315_360_000_000
/** Most limits that one limiter takes. */
export const MAX_LIMITS = 16

const PROPERTIES: readonly unknown[] = ['count', 'windowMs', 'burst']

/** The forms that limits may have, in the words of an error message. */
export const LIMITS_IN_WORDS =
  'a limit string such as "100/minute", a { count, windowMs } object or an array of these'

/**
 * Checks a {@link Limit} object and copies it, frozen. Each of its properties is read once, so an object
 * that answers differently the second time (a getter, a proxy) gains nothing.
 *
 * Only own properties count: a polluted `Object.prototype` cannot set a limit.
 *
 * @param value anything but a string or an array
 * @param name the argument, for the messages
 * @throws TypeError if it is no object, holds an unknown property or a property that is no number
 * @throws RangeError if a number is not an integer within its range
 */
export function checkLimit(value: unknown, name: string): Limit {
  if (typeof value !== 'object' || value === null) {
    throw invalid(TypeError, 'INVALID_LIMIT', name, LIMITS_IN_WORDS, value)
  }
  const keys = Reflect.ownKeys(value)
  const unknown = keys.find((key) => !PROPERTIES.includes(key))
  if (unknown !== undefined) {
    const message = `${name} has the unknown property ${printable(unknown)}: only count, windowMs and burst are accepted`
    throw withCode(new TypeError(message), 'INVALID_LIMIT')
  }
  const read = (key: keyof Limit): unknown =>
    keys.includes(key) ? Reflect.get(value, key) : undefined
  const check = (key: keyof Limit, found: unknown, max: number): number =>
    integer(found, `${name}.${key}`, 1, max, 'INVALID_LIMIT')
  const count = check('count', read('count'), MAX_COUNT)
  const windowMs = check('windowMs', read('windowMs'), MAX_WINDOW_MS)
  const burst = read('burst')
  if (burst === undefined) return Object.freeze({ count, windowMs })
  return Object.freeze({ count, windowMs, burst: check('burst', burst, MAX_COUNT) })
}

/** The burst that a limit was given. Only an own property counts, as everywhere. */
export function ownBurst(limit: Limit): number | undefined {
  return Object.hasOwn(limit, 'burst') ? limit.burst : undefined
}

/** Units that a limit's bucket holds. */
export function burstOf(limit: Limit): number {
  return ownBurst(limit) ?? limit.count
}

/** Limits as the native side takes them. */
export function columnsOf(
  limits: readonly Limit[],
): Record<'counts' | 'windowsMs' | 'bursts', number[]> {
  const counts = limits.map((limit) => limit.count)
  const windowsMs = limits.map((limit) => limit.windowMs)
  return { counts, windowsMs, bursts: limits.map(burstOf) }
}

/** Limits as a text: different limits have different texts, and so different counters. */
export function figuresOf(limits: readonly Limit[]): string {
  const figures = limits.map((limit) => {
    const burst = burstOf(limit) === limit.count ? '' : ` burst ${burstOf(limit)}`
    return `${limit.count}/${limit.windowMs}ms${burst}`
  })
  return figures.join(';')
}

// Literal figures and not products: the declaration of UnitName is made from them.
const UNITS = [
  [1, 'ms', 'millisecond', 'milliseconds'],
  [1_000, 's', 'sec', 'secs', 'second', 'seconds'],
  [60_000, 'm', 'min', 'mins', 'minute', 'minutes'],
  [3_600_000, 'h', 'hr', 'hrs', 'hour', 'hours'],
  [86_400_000, 'd', 'day', 'days'],
  [604_800_000, 'w', 'week', 'weeks'],
  [2_592_000_000, 'month', 'months'],
  [31_536_000_000, 'year', 'years'],
] as const

/** Every spelling of a unit of time, in lower case. `m` is a minute, a month is 30 days, a year 365 days. */
export type UnitName = Exclude<(typeof UNITS)[number][number], number>

/** The units as an error message lists them, one spelling each. */
export const UNITS_IN_WORDS = 'ms, s, min, h, d, w, month or year'

// A Map, because an object would also answer to "constructor" and "__proto__".
const msByName: ReadonlyMap<string, number> = new Map(
  UNITS.flatMap(([ms, ...names]) => names.map((name) => [name, ms] as const)),
)

/**
 * Length of a unit in milliseconds, or `undefined` for a word that is no unit.
 *
 * @param word ASCII letters, in any case
 */
export function unitMs(word: string): number | undefined {
  return msByName.get(word.toLowerCase())
}

/** Limits as an operator reads them, such as `100/minute, 10/15 minutes burst 3`. */
export function limitsInWords(limits: readonly Limit[]): string {
  return limits.map(limitInWords).join(', ')
}

/** One of them. Without a burst it is a limit string. */
export function limitInWords(limit: Limit): string {
  const { count, windowMs } = limit
  const burst = burstOf(limit) === count ? '' : ` burst ${burstOf(limit)}`
  const [ms, ...names] = UNITS.findLast(([unit]) => windowMs % unit === 0) ?? UNITS[0]
  const [one, many] = names.slice(-2)
  const window = windowMs === ms ? one : `${windowMs / ms} ${many}`
  return `${count}/${window}${burst}`
}

/*
 * The limit-string grammar as a type, so that `new RateLimiter('10/fortnight')` does not compile.
 *
 * It refuses plain mistakes only (form, unit, zero, sign, fraction, separator); sizes are left to the parser.
 * It never refuses what the parser accepts: `__test__/limit/literal.test.ts` compares the two.
 *
 * A valid text is at most 1024 characters long and the compiler takes a tail-recursive type 1000 steps far.
 * So blanks, of which there may be any number, go two at a time.
 */

/**
 * The type for a parameter that takes limits:
 *
 * ```ts
 * function parseLimits<const L extends LimitInput>(limits: CheckedLimits<L>): readonly Limit[]
 * class RateLimiter<const L extends LimitInput = LimitInput> { constructor(limits: CheckedLimits<L>) }
 * ```
 *
 * It is `L` itself, unless a string literal in `L` is no limit: then the parameter's type says
 * `"not a limit: 10/fortnight"` in its place, and so does the compiler. Whatever is not known to the
 * letter (`string`, `string[]`, `${number}/minute`, a `Limit`, a `LimitInput`) passes; the parser decides.
 *
 * The form matters, and was tried on TypeScript 5.0 to 7.0. The compiler infers `L` from the branch that is
 * bare `L`. With `L & Checked<L>` the message would only say `never`; with `Checked<L>` alone, or with the
 * inner conditions moved to a type of their own, arrays are not inferred as tuples and pass unchecked.
 * `Limit` in place of a more special object type makes the compiler refuse `{ count, windowMs, most }`.
 * On 5.0 arrays pass unchecked in any case.
 */
export type CheckedLimits<L extends LimitInput> = [L] extends [Checked<L>]
  ? L extends Limit
    ? Limit
    : L extends readonly unknown[]
      ? { readonly [I in keyof L]: L[I] extends Limit ? Limit : L[I] }
      : L
  : Checked<L>

type Checked<L> = L extends string
  ? CheckedText<L>
  : L extends readonly []
    ? 'not a limit: an empty array'
    : L extends readonly unknown[]
      ? { readonly [I in keyof L]: L[I] extends infer E ? CheckedElement<E> : never }
      : L

type CheckedElement<E> = E extends string ? CheckedText<E> : E

// `string` and patterns such as `${number}/minute` make an index signature, and {} has one for the asking;
// a literal makes a required property, which {} lacks.
// biome-ignore lint/complexity/noBannedTypes: the empty object is what is asked about
type CheckedText<S extends string> = {} extends Record<S, 1> ? S : OrText<FirstMistake<S>, S>

type OrText<Mistake, S> = [Mistake] extends [never] ? S : Mistake

/** The message for the first text in a list that is no limit, or `never`. */
type FirstMistake<
  List extends string,
  Separators extends readonly string[] = [';', ',', '|'],
> = Separators extends readonly [
  infer Separator extends string,
  ...infer Others extends readonly string[],
]
  ? List extends `${infer First}${Separator}${infer Rest}`
    ? [FirstMistake<First, Others>] extends [never]
      ? FirstMistake<Rest, Separators>
      : FirstMistake<First, Others>
    : FirstMistake<List, Others>
  : IsLimit<List> extends true
    ? never
    : Mistake<List>

type Mistake<S extends string> =
  Trim<S> extends ''
    ? 'not a limit: an empty text'
    : `not a limit: ${Trim<S>} (a limit is such as 100/minute)`

type IsLimit<S extends string> = IsRate<AfterNumber<TrimStart<Lowercase<S>>>>

/** The part after the count. */
type IsRate<S extends string> =
  TrimStart<S> extends `/${infer Window}`
    ? IsWindow<TrimStart<Window>>
    : S extends `${Blank}${string}`
      ? TrimStart<S> extends `per${Blank}${infer Window}`
        ? IsWindow<TrimStart<Window>>
        : false
      : false

type IsWindow<S extends string> = S extends `${Digit}${string}`
  ? IsUnit<TrimStart<AfterNumber<S>>>
  : IsUnit<S>

type IsUnit<S extends string> = TrimEnd<S> extends UnitName ? true : false

/** The part after a number without leading zeros; `'?'`, which continues nothing, if there is no number. */
type AfterNumber<S extends string> = S extends `${infer _ extends Exclude<Digit, '0'>}${infer Rest}`
  ? AfterDigits<Rest>
  : '?'

type AfterDigits<S extends string> = S extends `${infer _ extends Digit}${infer Rest}`
  ? AfterDigits<Rest>
  : S

type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'

type Blank = ' ' | '\t'

type Trim<S extends string> = TrimStart<TrimEnd<S>>

type TrimStart<S extends string> =
  S extends `${infer _A extends Blank}${infer _B extends Blank}${infer Rest}`
    ? TrimStart<Rest>
    : S extends `${infer _ extends Blank}${infer Rest}`
      ? Rest
      : S

type TrimEnd<S extends string> = S extends `${infer Rest}${Blank}${Blank}`
  ? TrimEnd<Rest>
  : S extends `${infer Rest}${Blank}`
    ? Rest
    : S
