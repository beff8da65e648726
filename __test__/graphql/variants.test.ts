import { buildSchema } from 'graphql'
import { costOf } from 'ratethrottle/graphql'
import { expect, it } from 'vitest'
import { wantsStatus } from '../../dist/adapters/graphql/exchange.js'

/** The same field, in a type that says no more of it than its interface, and in one that does. */
const schemaWith = (field: string): ReturnType<typeof buildSchema> =>
  buildSchema(`
    directive @cost(weight: String!) on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT
    directive @listSize(assumedSize: Int) on FIELD_DEFINITION
    type Query { n: N }
    interface N { a(first: Int, by: In): [N] }
    type Plain implements N { a(first: Int, by: In): [N] }
    type Other implements N { ${field} }
    type Dear implements N @cost(weight: "7") { a(first: Int, by: In): [N] }
    input In { n: Int, dear: Dearer } input Dearer { n: Int @cost(weight: "6") }
  `)

// `n`, an object of type Dear, `a`, and ten more objects without fields.
const PLAIN = 1 + 7 + 1 + 10 * 7

it.each([
  ['nothing', 'a(first: Int, by: In): [N]', PLAIN],
  ['a weight', 'a(first: Int, by: In): [N] @cost(weight: "200")', 1 + 200 + 10 * 7],
  ['a size', 'a(first: Int, by: In): [N] @listSize(assumedSize: 50)', 1 + 1 + 50 * 7],
  ['the cost of an argument', 'a(first: Int, by: In @cost(weight: "300")): [N]', 1 + 1 + 300 + 70],
  ['a default', 'a(first: Int = 30, by: In): [N]', 1 + 1 + 30 * 7],
  ['another argument', 'a(first: Int, by: In, limit: Int = 40): [N]', 1 + 1 + 40 * 7],
])('types that say %s of a field of their interface count for themselves', (_what, field, cost) => {
  const schema = schemaWith(field)
  const query = '{ n { a(by: { n: 1 }) { __typename } } }'
  expect(costOf(schema, query).cost).toBe(cost)
  // However the fields are reached.
  const spread = '{ n { ... on N { ...A } } } fragment A on N { a(by: { n: 1 }) { __typename } }'
  expect(costOf(schema, spread).cost).toBe(cost)
})

it('types that return another type count for themselves', () => {
  const schema = buildSchema(`
    directive @cost(weight: String!) on OBJECT
    type Query { n: N }
    interface N { a: N }
    type Narrow implements N { a: Narrow }
    type Wide implements N { a: N }
    type Dear implements N @cost(weight: "7") { a: Narrow }
  `)
  expect(costOf(schema, '{ n { a { a { __typename } } } }')).toEqual({
    cost: 1 + 7 + 1 + 1,
    depth: 4,
  })
  expect(
    costOf(schema, '{ n { ... on Wide { a { a { __typename } } } a { __typename } } }').cost,
  ).toBe(1 + 1 + 7 + 1 + 1 + 7)
})

it.each([
  ['application/graphql-response+json', true],
  ['application/json, application/graphql-response+json', true],
  ['application/graphql-response+json;q=0.5, application/json;q=0.5', true],
  ['application/graphql-response+json;q=0.4, application/json;q=0.5', false],
  ['Application/GraphQL-Response+JSON ; charset=utf-8 ; q=1', true],
  ['application/graphql-response+json;q=0', false],
  ['application/json', false],
  ['*/*', false],
  [undefined, false],
])('Accept: %s asks for a status: %s', (accept, wants) => {
  expect(wantsStatus(accept)).toBe(wants)
})
