import {
  buildSchema,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
} from 'graphql'
import { RateLimiter } from 'ratethrottle'
import { costOf, plugin } from 'ratethrottle/graphql'
import { expect, it } from 'vitest'
import { yogaWith } from './servers.ts'

const WRONG: readonly (readonly [object, string])[] = [
  [{}, 'limits must be'],
  [{ limits: undefined, maxCost: 5 }, 'limits must be'],
  [{ limits: '10/fortnight' }, 'Invalid limit'],
  [{ limits: '1/day', maxCost: 0 }, 'maxCost must be an integer from 1'],
  [{ limits: '1/day', maxDepth: '5' }, 'maxDepth must be an integer from 1'],
  [{ limits: '1/day', maxTokens: 1e9 }, 'maxTokens must be an integer from 1 to 100000'],
  [{ limits: '1/day', maxCharacters: -1 }, 'maxCharacters must be'],
  [{ limits: '1/day', listSize: 0 }, 'listSize must be an integer from 1'],
  [{ limits: '1/day', listSize: Number.POSITIVE_INFINITY }, 'listSize must be'],
  [{ limits: '1/day', fieldCost: -1 }, 'fieldCost must be a number from 0'],
  [{ limits: '1/day', scalarCost: Number.NaN }, 'scalarCost must be a number from 0'],
  [{ limits: '1/day', slicingArguments: 'first' }, 'slicingArguments must be a list'],
  [{ limits: '1/day', refund: true }, 'refund must be "actual" or "none"'],
  [{ limits: '1/day', operations: ['a b'] }, 'operations must be a list'],
  [{ limits: '1/day', address: '127.0.0.1' }, 'address must be a function'],
  [{ limits: '1/day', concurrent: 0 }, 'concurrent'],
  [{ limits: '1/day', shield: 5 }, 'shield must be'],
  [{ limits: '1/day', maxcost: 5 }, 'did you mean maxCost'],
]

it.each(WRONG)('plugin(%j) is refused: %s', (options, message) => {
  expect(() => plugin(options)).toThrow(message)
})

it('a bound alone needs no limits, and a limiter brings its own', () => {
  for (const options of [{ maxCost: 5 }, { maxDepth: 5 }, { concurrent: 5 }, { limits: '1/day' }]) {
    plugin(options).close()
  }
  const limiter = new RateLimiter('5/minute')
  plugin({ storage: limiter }).close()
  // It belongs to the program.
  expect(limiter.allow('a')).toBe(true)
  limiter.close()
})

it('costOf refuses what is no document and unknown options', () => {
  const schema = buildSchema('type Query { a: Int }')
  expect(() => costOf(schema, null as never)).toThrow('document must be')
  expect(() => costOf('type Query { a: Int }' as never, '{ a }')).toThrow('schema must be a Graph')
  expect(() => costOf(schema, '{ a }', {}, { listsize: 5 } as never)).toThrow('unknown option')
  expect(() => costOf(schema, `{ a ${'a '.repeat(20_000)} }`)).toThrow('10000 tokens')
  expect(() => costOf(schema, 'mutation { a }')).toThrow('the schema has none')
  expect(() => costOf(schema, '{ a')).toThrow('Syntax Error')
})

it('no prototype that is polluted sets a size or a variable', () => {
  const schema = buildSchema('type Query { a(first: Int): [Query] b: Int }')
  const query =
    'query ($n: Int, $constructor: Int) { a(first: $n) { b } c: a(first: $constructor) { b } }'
  Object.assign(Object.prototype, { n: 1, listSize: 1 })
  try {
    expect(costOf(schema, query).cost).toBe(22)
  } finally {
    Reflect.deleteProperty(Object.prototype, 'n')
    Reflect.deleteProperty(Object.prototype, 'listSize')
  }
})

it('a directive with a wrong value is an error when the server starts', async () => {
  const directive = 'directive @cost(weight: String!) on FIELD_DEFINITION | OBJECT'
  const limits = plugin({ limits: '1/day' })
  const start = (type: string): void =>
    limits.onSchemaChange({ schema: buildSchema(`${directive} ${type}`) })
  expect(() => start('type Query { a: Int @cost(weight: "much") }')).toThrow(
    '@cost(weight) of Query.a must be a number, or a text that is one, got "much"',
  )
  expect(() => start('type Query @cost(weight: "") { a: Int }')).toThrow('@cost(weight) of Query')
  await expect(
    limits.serverWillStart({
      schema: buildSchema(`${directive} type Query { a: Int @cost(weight: "x") }`),
    }),
  ).rejects.toThrow('@cost(weight) of Query.a')
  start('type Query { a: Int @cost(weight: "2.5") }')
  limits.close()
})

it('a schema that is made in code says costs in extensions', () => {
  const of = (a: Record<string, unknown>, item: Record<string, unknown> = {}): number => {
    const Item = new GraphQLObjectType({
      name: 'Item',
      extensions: item,
      fields: { b: { type: GraphQLInt } },
    })
    const type = new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(Item)))
    const args = { count: { type: GraphQLInt } }
    const query = new GraphQLObjectType({
      name: 'Query',
      fields: { a: { type, args, extensions: a } },
    })
    return costOf(new GraphQLSchema({ query }), '{ a(count: 7) { b } }').cost
  }
  expect(of({})).toBe(11)
  expect(of({ cost: 5 })).toBe(15)
  expect(of({ cost: { weight: '5' } })).toBe(15)
  expect(of({ directives: { cost: { weight: 5 } } })).toBe(15)
  expect(of({ directives: [{ name: 'cost', args: { weight: 5 } }] })).toBe(15)
  expect(of({ directives: { cost: [{ weight: 5 }] } })).toBe(15)
  expect(of({ listSize: 3 })).toBe(4)
  expect(of({ listSize: { assumedSize: 3, slicingArguments: 'count' } })).toBe(8)
  expect(of({}, { cost: 2 })).toBe(31)
})

it('a schema may require exactly one slicing argument', () => {
  const schema = buildSchema(`
    directive @listSize(assumedSize: Int, slicingArguments: [String!], requireOneSlicingArgument: Boolean) on FIELD_DEFINITION
    input Page { first: Int }
    type Query {
      a(first: Int, last: Int): [Int] @listSize(slicingArguments: ["first", "last"], requireOneSlicingArgument: true)
      b(first: Int, last: Int): [Query] @listSize(slicingArguments: ["first", "last"], assumedSize: 50)
      c(page: Page): [Query] @listSize(slicingArguments: ["page.first"])
      n: Int
    }
  `)
  const cost = (query: string): number => costOf(schema, query, { p: { first: 4 } }).cost
  expect(cost('{ a(first: 1) }')).toBe(1)
  expect(() => cost('{ a }')).toThrow(
    'must give field "a" exactly one of the arguments first, last',
  )
  expect(() => cost('{ a(first: 1, last: 2) }')).toThrow('exactly one')
  expect([cost('{ b { n } }'), cost('{ b(first: 2, last: 9) { n } }')]).toEqual([51, 10])
  expect(cost('{ c(page: { first: 3 }) { n } }')).toBe(4)
  expect(cost('query ($p: Page) { c(page: $p) { n } }')).toBe(5)
  expect(cost('{ c { n } c2: c(page: {}) { n } }')).toBe(22)
})

it('what the schema says about itself has its price', () => {
  const schema = buildSchema('type Query { a: Int }')
  const cost = (query: string): number => costOf(schema, query).cost
  expect(cost('{ __typename }')).toBe(0)
  expect(cost('{ x: __typename y: __typename }')).toBe(2)
  expect(cost('{ __schema { types { name fields { name args { name } } } } }')).toBe(7)
  const deep = (levels: number): string =>
    `{ __schema { types ${'{ fields { type '.repeat(levels)}{ name }${' } }'.repeat(levels)} } }`
  expect(cost(deep(2))).toBeLessThan(10)
  expect(cost(deep(6))).toBeGreaterThan(1_000)
  expect(costOf(schema, deep(6)).depth).toBe(1)
})

it('a closed plugin refuses', async () => {
  const limits = plugin({ limits: '5/hour', key: () => 'ada', onError: () => {} })
  const yoga = yogaWith(limits)
  limits.close()
  const body = JSON.stringify({ query: '{ hello }' })
  const headers = { 'content-type': 'application/json' }
  const response = await yoga.fetch('http://localhost/graphql', { method: 'POST', headers, body })
  expect(await response.text()).toContain('RATE_LIMITER_FAILED')
})
