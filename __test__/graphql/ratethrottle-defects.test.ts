import { buildSchema } from 'graphql'
import { costOf, plugin } from 'ratethrottle/graphql'
import { afterEach, describe, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { ask, codeOf, type Running, SERVERS } from './servers.ts'

// What RateThrottle for Python gets wrong: its defects D66 to D69.

const schema = buildSchema(`
  type Query { user(id: ID): User users(limit: Int, first: Int, last: Int, take: Int): [User] a(first: Int): [A] }
  type User { id: ID name: String email: String posts(first: Int): [Post] }
  type Post { id: ID title: String }
  type A { b(first: Int): [B] }
  type B { c(first: Int): [C] }
  type C { id: ID }
`)

const cost = (query: string, variables?: Record<string, unknown>): number =>
  costOf(schema, query, variables).cost
const depth = (query: string): number => costOf(schema, query).depth

let running: Running | undefined
afterEach(async () => {
  await running?.close()
  running = undefined
})

describe.each(SERVERS)('D66, %s', (_name, start) => {
  it('of many queries one passes at limit 1', async () => {
    running = await start(plugin({ limits: '1/hour' }))
    const { url, service } = running
    const answers = await Promise.all(
      Array.from({ length: byLength(30, 100) }, () => ask(url, '{ hello }')),
    )
    expect(answers.filter((answer) => codeOf(answer) === undefined)).toHaveLength(1)
    expect(service.runs.get('hello')).toBe(1)
  })

  it('none passes that is dearer or deeper than the bound', async () => {
    running = await start(plugin({ limits: '1000000/hour', maxCost: 1, maxDepth: 1 }))
    const { url, service } = running
    expect(codeOf(await ask(url, '{ users { id } }'))).toBe('DEPTH_LIMIT_EXCEEDED')
    expect(codeOf(await ask(url, '{ a: hello b: hello }'))).toBe('COST_LIMIT_EXCEEDED')
    expect(codeOf(await ask(url, '{ hello }'))).toBeUndefined()
    expect(service.runs).toEqual(new Map([['hello', 1]]))
  })

  it('D69: an operation is charged once, however many resolvers it has', async () => {
    running = await start(plugin({ limits: '7/hour' }))
    const { url, service } = running
    const query = `{ ${Array.from({ length: 7 }, (_, i) => `a${i}: hello`).join(' ')} }`
    const [first, second] = [await ask(url, query), await ask(url, '{ hello }')]
    expect(Object.keys(first.body.data ?? {})).toHaveLength(7)
    expect(codeOf(second)).toBe('RATE_LIMITED')
    expect(service.runs.get('hello')).toBe(7)
  })
})

it('D67: totals are what they are documented to be', () => {
  expect(cost('{ user(id: 1) { name } }')).toBe(2)
  expect(cost('{ users(limit: 10) { id name } }')).toBe(21)
  expect(cost('{ users(limit: 3) { id posts(first: 5) { id title } } }')).toBe(
    1 + 3 * (1 + 1 + 5 * 2),
  )
})

it.each(['limit', 'first', 'last', 'take'])(
  'D67: %s makes a list longer, and by no trick shorter',
  (name) => {
    const of = (value: string): number => cost(`{ users(${name}: ${value}) { id } }`)
    expect([of('1'), of('50'), of('1000000')]).toEqual([2, 51, 1_000_001])
    for (const value of [
      '-1000',
      '0',
      '-0',
      'null',
      '-2147483648',
      '1.5',
      '"x"',
      'true',
      '[]',
      '{}',
      'HUGE',
      '$none',
    ]) {
      expect(of(value), value).toBe(11)
    }
    for (const value of ['9'.repeat(400), '1e400', '"1e400"', '9007199254740993']) {
      expect(of(value), value).toBe(Number.MAX_SAFE_INTEGER)
    }
    expect(of('"500"')).toBe(501)
    expect(of('99.5')).toBe(101)
  },
)

it('D67: a variable counts as what it is', () => {
  const query = 'query ($n: Int = 7) { users(first: $n) { id } }'
  const sizes = [{ n: 500 }, { n: 2 }, {}, undefined, { n: null }, { n: 0 }, { n: -5 }]
  expect(sizes.map((one) => cost(query, one))).toEqual([501, 3, 8, 8, 11, 11, 11])
  const hostile = [Number.NaN, Number.POSITIVE_INFINITY, '', {}, [], true, () => 1]
  for (const n of hostile) expect(cost(query, { n })).toBeGreaterThanOrEqual(11)
  expect(cost(query, JSON.parse('{"__proto__": {"n": 1}}'))).toBe(8)
})

it('D67: lists in lists multiply, and the sum has an end', () => {
  expect(cost('{ a(first: 100) { b(first: 100) { c(first: 100) { id } } } }')).toBe(1_010_101)
  const huge = '{ a(first: 2147483647) { b(first: 2147483647) { c(first: 2147483647) { id } } } }'
  expect(cost(huge)).toBe(Number.MAX_SAFE_INTEGER)
})

it('D67: a document that can not be costed is refused', () => {
  expect(() => cost('{ ...A } fragment A on Query { ...A }')).toThrow('contains itself')
  expect(() => cost('{ ...None }')).toThrow('has no fragment "None"')
  expect(() => cost('query A { user { id } } query B { user { id } }')).toThrow('operationName')
  expect(() => costOf(schema, '{ user { id } }', {}, { operationName: 'X' })).toThrow('called "X"')
})

it('D68: fragments hide neither depth nor fields', () => {
  const levels = Array.from(
    { length: 20 },
    (_, i) => `fragment F${i} on User { posts { ...G${i} } }`,
  )
  const posts = Array.from({ length: 20 }, (_, i) => `fragment G${i} on Post { id }`)
  expect(depth(`{ user { ...F0 } } ${levels[0]} ${posts[0]}`)).toBe(3)
  expect(depth('{ user { ... on User { ... { posts { id } } } } }')).toBe(3)
  expect(cost('{ user { ...F } } fragment F on User { id name email }')).toBe(4)
})

it('D68: each alias of a field counts', () => {
  const aliases = Array.from({ length: 50 }, (_, i) => `a${i}: user(id: ${i}) { id }`)
  expect(cost(`{ ${aliases.join(' ')} }`)).toBe(100)
})
