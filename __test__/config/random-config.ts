import type { Random } from '../fixtures/random.ts'

/** The part of a JSON Schema that random values are made from. */
export interface Schema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly minimum?: number
  readonly exclusiveMinimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
}

/** Texts that each option's own reader accepts: what a text says, a schema does not know. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  limits: ['10/second', '100/minute; 1000/hour', '5 per day'],
  blockFor: ['5 minutes', '1h'],
  slowDown: ['2 seconds'],
  localDenials: ['10 seconds'],
  ttl: ['1 second'],
  after: ['45 seconds'],
  within: ['1 minute'],
  block: ['10 minutes'],
  ms: ['2 seconds'],
  maxRate: ['1000/second', 'auto'],
  ceiling: ['50/second'],
  rate: ['45/minute'],
  allow: ['10.0.0.0/8', '::1'],
  deny: ['192.0.2.1'],
  trust: ['loopback', '10.0.0.0/8'],
  proxies: ['10.0.0.0/8'],
  header: ['x-real-ip'],
  methods: ['GET', 'POST'],
  storage: ['memory:', 'redis://127.0.0.1/0'],
  keyPrefix: ['app:', ''],
  policy: ['api'],
}

/** A value that a schema accepts, as far as one is made of its kind. */
export function valueFor(schema: Schema, key: string, random: Random): unknown {
  if (schema.enum !== undefined) return random.pick(schema.enum)
  if (schema.const !== undefined) return schema.const
  const { anyOf } = schema
  if (anyOf !== undefined && schema.type !== 'string' && schema.type !== 'object') {
    // Variables are tried apart.
    return valueFor(random.pick(anyOf.filter(({ pattern }) => pattern === undefined)), key, random)
  }
  if (schema.type === 'boolean') return random.chance(0.5)
  if (schema.type === 'array') {
    const length = (schema.minItems ?? 0) + random.integer(0, 1)
    return Array.from({ length }, () => valueFor(schema.items ?? {}, key, random))
  }
  if (schema.type === 'object') return objectOf(schema, random, 0.5)
  if (schema.type === 'string') return random.pick(TEXTS[key] ?? ['text'])
  const { minimum = 0, exclusiveMinimum, maximum = 1 } = schema
  if (schema.type === 'number') return (exclusiveMinimum ?? minimum) + random.next() * 0.9 + 0.05
  return random.pick([minimum, Math.min(maximum, minimum + 7)])
}

/** @param likelihood that a key is there which need not be */
export function objectOf(schema: Schema, random: Random, likelihood: number): object {
  const entries = Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const isThere = schema.required?.includes(key) === true || random.chance(likelihood)
    return isThere ? [[key, valueFor(inner, key, random)]] : []
  })
  return Object.fromEntries(entries)
}

/** Values of all kinds, to put in the place of others. */
export const STRANGERS: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 7, 1e12, '', 'x', '5', 'x'.repeat(9_000), [], {}, [[]]],
  ...[[null], { a: 1 }, ['x', 1], { count: 1, windowMs: 1000, x: 1 }, { count: 0, windowMs: 1 }],
]
