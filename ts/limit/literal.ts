/*
 * The limit-string grammar as a type, so that `new RateLimiter('10/fortnight')` does not compile.
 *
 * It refuses plain mistakes only (form, unit, zero, sign, fraction, separator); sizes are left to the parser.
 * It never refuses what the parser accepts: `__test__/limit/literal.test.ts` compares the two.
 *
 * A valid text is at most 1024 characters long and the compiler takes a tail-recursive type 1000 steps far.
 * So blanks, of which there may be any number, go two at a time.
 */
import type { Limit, LimitInput, UnitName } from './limit.ts'

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
