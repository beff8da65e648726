/*
 * What the values of a configuration may look like: one description, from which values are checked (`fits.ts`) and
 * the JSON Schema is made (`schema.ts`). What a text says, such as a limit, its own reader checks (`option.ts`).
 */

export type Shape =
  | TextShape
  | NumberShape
  | BooleanShape
  | WordsShape
  | ListShape
  | AnyShape
  | ObjectShape

export interface TextShape {
  readonly kind: 'text'
  readonly min: number
  readonly max: number
}

export interface NumberShape {
  readonly kind: 'number'
  readonly isInteger: boolean
  /** Included, unless `isAbove`. */
  readonly min: number
  readonly isAbove?: boolean
  readonly max: number
}

export interface BooleanShape {
  readonly kind: 'boolean'
  /** If only one of the two is accepted. */
  readonly only?: boolean
}

export interface WordsShape {
  readonly kind: 'words'
  readonly words: readonly string[]
}

export interface ListShape {
  readonly kind: 'list'
  readonly of: Shape
  readonly min: number
  readonly max: number
}

/** One of several kinds: no two of them accept one value, but for texts. */
export interface AnyShape {
  readonly kind: 'any'
  readonly of: readonly Shape[]
  /** In words, for messages. */
  readonly accepted: string
}

export interface ObjectShape {
  readonly kind: 'object'
  readonly keys: Readonly<Record<string, Shape>>
  readonly required: readonly string[]
  /** At least one of these must be there. */
  readonly oneOf?: readonly string[]
}

/** Like an object whose keys are names of the user's: the limiters, the routes. */
export function text(min: number, max: number): TextShape {
  return { kind: 'text', min, max }
}

export function integer(min: number, max: number): NumberShape {
  return { kind: 'number', isInteger: true, min, max }
}

/** A number above 0 and at most 1. */
export const SHARE: NumberShape = {
  kind: 'number',
  isInteger: false,
  min: 0,
  isAbove: true,
  max: 1,
}

export const BOOLEAN: BooleanShape = { kind: 'boolean' }

export function words(...all: readonly string[]): WordsShape {
  return { kind: 'words', words: all }
}

export function list(of: Shape, min: number, max: number): ListShape {
  return { kind: 'list', of, min, max }
}

export function any(accepted: string, ...of: readonly Shape[]): AnyShape {
  return { kind: 'any', of, accepted }
}

export function object(
  keys: Readonly<Record<string, Shape>>,
  ...required: readonly string[]
): ObjectShape {
  return { kind: 'object', keys, required }
}

/** What a shape accepts, in words. */
export function inWords(shape: Shape): string {
  switch (shape.kind) {
    case 'text':
      return `a text of ${shape.min} to ${shape.max} characters`
    case 'number':
      if (!shape.isInteger) return `a number above ${shape.min} and at most ${shape.max}`
      return `an integer from ${shape.min} to ${shape.max}`
    case 'boolean':
      return shape.only === undefined ? 'true or false' : String(shape.only)
    case 'words':
      return shape.words
        .map((word) => JSON.stringify(word))
        .join(', ')
        .replace(/, ([^,]*)$/, ' or $1')
    case 'list':
      return `a list of ${shape.min} to ${shape.max}, each ${inWords(shape.of)}`
    case 'any':
      return shape.accepted
    default:
      return `an object of ${Object.keys(shape.keys).join(', ')}`
  }
}
