import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { checkConfig, schema } from 'ratethrottle/config'
import { expect, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { randomFor } from '../fixtures/random.ts'
import { objectOf, type Schema, STRANGERS, valueFor } from './random-config.ts'

const whole = schema() as Schema
const accepts = new Ajv({ strict: false }).compile(whole)
const env = { N: '5' }
const check = (config: unknown): ReturnType<typeof checkConfig> =>
  checkConfig(JSON.stringify(config), 'x.json', { env })

test('the schema that is shipped is the one of the table, and editors may name it', () => {
  const path = join(process.cwd(), 'dist/config/schema.json')
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual(JSON.parse(JSON.stringify(schema())))
  const config = { $schema: 'https://example.com/schema.json', limiters: { a: { limits: '1/s' } } }
  expect([accepts(config), check(config).ok]).toEqual([true, true])
})

/** Every place of a schema, with a configuration that has one value there. */
function* places(): Generator<{ name: string; schema: Schema; put: (value: unknown) => unknown }> {
  const { limiters, routes: _, ...top } = (whole.properties ?? {}) as Record<string, Schema>
  const only = { a: { limits: '1/second' } }
  for (const [key, inner] of Object.entries(top)) {
    if (['limits', 'burst', 'name', 'scope', 'policy'].includes(key)) continue
    yield { name: key, schema: inner, put: (value) => ({ limiters: only, [key]: value }) }
    const { properties = {}, required = [] } = key === 'shield' || key === 'insight' ? inner : {}
    for (const [name, nested] of Object.entries(properties)) {
      if (required.includes(name)) continue
      const put = (value: unknown) => ({ limiters: only, [key]: { [name]: value } })
      yield { name: `${key}.${name}`, schema: nested, put }
    }
  }
  const ofLimiter = (limiters as { additionalProperties?: Schema } | undefined)
    ?.additionalProperties
  for (const [key, inner] of Object.entries(ofLimiter?.properties ?? {})) {
    const put = (value: unknown) => ({ limiters: { a: { limits: '1/second', [key]: value } } })
    yield { name: `limiters.a.${key}`, schema: inner, put }
  }
}

test('a value of each kind is refused by the schema exactly where the check refuses it', () => {
  const differences: string[] = []
  let asked = 0
  for (const { name, put } of places()) {
    for (const value of STRANGERS) {
      const config = put(value)
      const { ok, errors } = check(config)
      asked++
      // What a text says, and what fits together, only the check knows.
      const isOfReader =
        !ok &&
        !errors.some(({ message }) =>
          / must be (?!given together with ).*, got |must have the key|unknown key/.test(message),
        )
      if (accepts(config) === ok) continue
      if (
        accepts(config) &&
        (isOfReader ||
          hasText(value) ||
          errors.every((one) => one.path.endsWith(name) && hasText(value)))
      )
        continue
      differences.push(
        `${name} = ${JSON.stringify(value)?.slice(0, 40)}: schema ${accepts(config)}, check ${ok} ${errors[0]?.message}`,
      )
    }
  }
  expect(asked).toBeGreaterThan(1_500)
  expect(differences).toEqual([])
})

function hasText(value: unknown): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.some(hasText))
}

test('what the schema accepts of known texts, the check accepts, and the other way round', () => {
  const random = randomFor('config schema')
  const all = [...places()]
  const differences: string[] = []
  for (let i = 0; i < byLength(600, 50_000); i++) {
    const { name, schema: inner, put } = random.pick(all)
    const key = name.slice(name.lastIndexOf('.') + 1)
    const config = put(random.chance(0.1) ? '${N}' : valueFor(inner, key, random))
    const { ok, errors } = check(config)
    const isText = errors.some(({ message }) => message.includes('${N}'))
    const isTogether =
      /excludes|requires|URL of Redis|left out|only .* have one|together|needs|at most one name|rate such as|must be absent/.test(
        errors[0]?.message ?? '',
      )
    if (accepts(config) !== ok && !isText && !isTogether) {
      differences.push(
        `${JSON.stringify(config)}: schema ${accepts(config)}, check ${ok} ${errors[0]?.message}`,
      )
    }
  }
  expect(differences.slice(0, 10)).toEqual([])
})

test('whole configurations of random options: the schema accepts whatever the check accepts', () => {
  const random = randomFor('config schema, whole')
  let accepted = 0
  for (let i = 0; i < byLength(150, 20_000); i++) {
    const { limiters, routes: _, ...top } = (whole.properties ?? {}) as Record<string, Schema>
    const ofLimiter = (limiters as { additionalProperties: Schema }).additionalProperties
    const config = {
      ...objectOf({ properties: top }, random, 0.05),
      limiters: {
        a: objectOf({ ...ofLimiter, required: ['limits'] }, random, 0.1),
        b: { limits: '1/second' },
      },
      routes: { '/x': 'b', '*': random.pick(['a', 'b', false]) },
    }
    const { ok } = check(config)
    if (ok) accepted++
    if (ok) expect(accepts(config), JSON.stringify(config)).toBe(true)
    const spoiled = { ...config, [random.pick(['limiter', 'route', 'Storage', 'limts'])]: {} }
    expect([accepts(spoiled), check(spoiled).ok]).toEqual([false, false])
  }
  expect(accepted).toBeGreaterThan(15)
})
