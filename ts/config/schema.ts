import type { NumberShape, Shape } from './shape.ts'
import {
  LIMITER_KEYS,
  LIMITER_NAME,
  MAX_LIMITERS,
  MAX_ROUTES,
  RESERVED,
  TOP_KEYS,
} from './table.ts'

/** A JSON Schema (draft-07, which editors know). */
export type JsonSchema = Readonly<Record<string, unknown>>

/** A text that the environment has a part in: it may become any value that is accepted. */
const VARIABLE: JsonSchema = { type: 'string', pattern: '\\$\\{' }

/** What makes a limiter refuse requests. */
const LIMITING: readonly JsonSchema[] = [
  { required: ['limits'] },
  { required: ['concurrent'], properties: { concurrent: { not: { const: false } } } },
]

/**
 * The JSON Schema of configuration files, made from the table that checks them. It knows which keys there are, and
 * which kinds of values; what a limit such as `100/minute` says, only `loadConfig` and `checkConfig` know.
 */
export function schema(): JsonSchema {
  const limiters = {
    type: 'object',
    minProperties: 1,
    maxProperties: MAX_LIMITERS,
    propertyNames: { pattern: LIMITER_NAME, not: { enum: RESERVED } },
    additionalProperties: { ...objectOf(LIMITER_KEYS), anyOf: LIMITING },
  }
  const routes = {
    type: 'object',
    maxProperties: MAX_ROUTES,
    additionalProperties: { anyOf: [{ type: 'string' }, { const: false }] },
  }
  const whole = objectOf(TOP_KEYS)
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Configuration of ratethrottle',
    ...whole,
    properties: { ...whole.properties, limiters, routes },
  }
}

function objectOf(keys: Readonly<Record<string, Shape>>): JsonSchema & { properties: object } {
  const properties = Object.entries(keys).map(([key, shape]) => [key, schemaOf(shape)])
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false }
}

function schemaOf(shape: Shape): JsonSchema {
  switch (shape.kind) {
    case 'text':
      return { type: 'string', ...lengthOf(shape) }
    case 'number':
      return { anyOf: [numberOf(shape), VARIABLE] }
    case 'boolean':
      return {
        anyOf: [shape.only === undefined ? { type: 'boolean' } : { const: shape.only }, VARIABLE],
      }
    case 'words':
      return { anyOf: [{ enum: shape.words }, VARIABLE] }
    case 'list':
      return { type: 'array', items: schemaOf(shape.of), minItems: shape.min, maxItems: shape.max }
    case 'any':
      return { anyOf: shape.of.map(schemaOf), description: shape.accepted }
    default:
      return {
        ...objectOf(shape.keys),
        ...(shape.required.length > 0 && { required: shape.required }),
        ...(shape.oneOf && { anyOf: shape.oneOf.map((key) => ({ required: [key] })) }),
      }
  }
}

function lengthOf({ min, max }: { readonly min: number; readonly max: number }): JsonSchema {
  return { anyOf: [{ minLength: min, maxLength: max }, VARIABLE] }
}

function numberOf({ isInteger, isAbove, min, max }: NumberShape): JsonSchema {
  const lower = isAbove === true ? { exclusiveMinimum: min } : { minimum: min }
  return { type: isInteger ? 'integer' : 'number', ...lower, maximum: max }
}
