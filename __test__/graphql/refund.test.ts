import {
  buildSchema,
  execute,
  GraphQLError,
  type GraphQLFieldResolver,
  isListType,
  parse,
} from 'graphql'
import { RateLimiter } from 'ratethrottle'
import { costOf, type GraphQLPlugin, plugin } from 'ratethrottle/graphql'
import { expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { Model } from './model.ts'
import { type Node, QueryMaker, type QuerySpec, queryText } from './random-query.ts'
import { randomSchema, type SchemaSpec, textOf } from './random-schema.ts'

const PLENTY = { count: 100_000_000, windowMs: 3_600_000 }

/** What becomes of an operation between the hooks of Envelop. */
interface Executed {
  readonly result: unknown
  readonly isRefused: boolean
}

async function through(
  limits: GraphQLPlugin,
  args: Parameters<typeof execute>[0],
  run: () => unknown = () => execute(args),
): Promise<Executed> {
  let refused: unknown
  const hook = (await limits.onExecute({
    args: { ...args, contextValue: {} },
    executeFn: run as never,
    setExecuteFn: () => {},
    setResultAndStopExecution: (result) => {
      refused = result
    },
  })) as { onExecuteDone(done: object): unknown } | undefined
  if (refused !== undefined) return { result: refused, isRefused: true }
  const result = await run()
  await hook?.onExecuteDone({ result })
  return { result, isRefused: false }
}

/** Counts what resolvers did, while they did it: each field that ran, and each object that was returned. */
class Counter {
  cost = 0
  readonly #model: Model
  readonly #random: Random
  readonly #spec: SchemaSpec
  readonly #fields = new Map<string, Extract<Node, { kind: 'field' }>>()

  constructor(random: Random, spec: SchemaSpec, query: QuerySpec) {
    this.#random = random
    this.#spec = spec
    this.#model = new Model(spec, query)
    this.cost = this.#model.typeWeight('Query', 'Query')
    this.#collect(query.nodes)
    for (const { nodes } of query.fragments.values()) this.#collect(nodes)
  }

  #collect(nodes: readonly Node[]): void {
    for (const node of nodes) {
      if (node.kind === 'field' && node.alias !== undefined) this.#fields.set(node.alias, node)
      if (node.kind !== 'spread' && node.below !== undefined) this.#collect(node.below)
    }
  }

  readonly resolve: GraphQLFieldResolver<unknown, unknown> = (_source, _args, _context, info) => {
    const node = this.#fields.get(info.path.key as string)
    if (node === undefined) throw new Error(`no field is called ${info.path.key}`)
    const spec = this.#model.specOf(info.parentType.name, info.fieldName)
    this.cost += this.#model.own(node, spec)
    if (this.#random.chance(0.05)) throw new GraphQLError('failed')
    return this.#value(info.returnType, spec?.returns ?? '')
  }

  #value(type: unknown, returned: string): unknown {
    if (this.#random.chance(0.1)) return null
    if (isListType(type)) {
      const { ofType } = type
      return Array.from({ length: this.#random.integer(0, 4) }, () => this.#value(ofType, returned))
    }
    if (returned === 'Int') return 1
    const spec = this.#spec.types.get(returned)
    const __typename =
      spec?.kind === 'object' ? returned : this.#random.pick(spec?.members ?? [returned])
    if (__typename === undefined) return null
    this.cost += this.#model.typeWeight(__typename, returned)
    return { __typename }
  }
}

interface Counted {
  readonly charged: number
  readonly used: number
  readonly kept: number
  readonly shown: string
}

/** Executes one random query, and says what it was charged, what it used, and what it was charged in the end. */
async function runOne(random: Random, isNamed: boolean): Promise<Counted> {
  const spec = randomSchema(random)
  const query = new QueryMaker(random, spec, true, isNamed).make()
  const schema = buildSchema(textOf(spec), { assumeValid: true })
  const document = parse(queryText(query))
  const limiter = new RateLimiter(PLENTY, { algorithm: 'fixed-window' })
  const limits = plugin({ storage: limiter, key: () => 'ada', refund: 'actual' })
  const counter = new Counter(random, spec, query)
  const charged = Math.max(1, costOf(schema, document, query.given).cost)
  const before = limiter.peek('ada').remaining
  const typeResolver = (value: unknown): string => (value as { __typename: string }).__typename
  const args = { schema, document, variableValues: query.given, fieldResolver: counter.resolve }
  const { result } = await through(limits, { ...args, typeResolver })
  const kept = before - limiter.peek('ada').remaining
  const used = Math.max(1, Math.ceil(counter.cost - 1e-6))
  limiter.close()
  const shown = `${textOf(spec)}\n${queryText(query)}\n${JSON.stringify([query.given, result])}`
  return { charged, used, kept, shown }
}

it('an operation is charged what its resolvers did, and never more than beforehand', {
  timeout: 600_000,
}, async () => {
  const random = randomFor('graphql refunds')
  let refunded = 0
  for (let i = 0; i < byLength(50, 10_000); i++) {
    const { charged, used, kept, shown } = await runOne(random, true)
    if (charged > PLENTY.count) continue
    expect(kept, shown).toBe(Math.min(charged, used))
    if (kept < charged) refunded++
  }
  expect(refunded).toBeGreaterThan(byLength(10, 2_500))
})

it('without __typename it is charged at least what its resolvers did', {
  timeout: 600_000,
}, async () => {
  const random = randomFor('graphql refunds of unknown types')
  for (let i = 0; i < byLength(30, 10_000); i++) {
    const { charged, used, kept, shown } = await runOne(random, false)
    if (charged > PLENTY.count) continue
    expect(kept, shown).toBeLessThanOrEqual(charged)
    expect(kept, shown).toBeGreaterThanOrEqual(Math.min(charged, used))
  }
})

it('a client that gives another field the name __typename is not believed', async () => {
  const schema = buildSchema(`
    directive @cost(weight: String!) on FIELD_DEFINITION
    type Query { n: N }
    interface N { text: String }
    type Cheap implements N { text: String }
    type Dear implements N { text: String, x: Int @cost(weight: "100") }
  `)
  const limiter = new RateLimiter(PLENTY, { algorithm: 'fixed-window' })
  const limits = plugin({ storage: limiter, key: () => 'ada', refund: 'actual' })
  const document = parse('{ n { __typename: text ... on Dear { x } } }')
  const before = limiter.peek('ada').remaining
  await through(limits, { schema, document }, () => ({
    data: { n: { __typename: 'Cheap', x: 1 } },
  }))
  expect(before - limiter.peek('ada').remaining).toBe(102)
  limiter.close()
})

it('results that are none, or none of this operation, break nothing', async () => {
  const schema = buildSchema('type Query { a: [Query] b: Int }')
  const limiter = new RateLimiter(PLENTY, { algorithm: 'fixed-window' })
  const limits = plugin({ storage: limiter, key: () => 'ada', refund: 'actual' })
  const document = parse('{ a { a { b } } }')
  const whole = costOf(schema, document).cost
  const kept = async (result: unknown): Promise<number> => {
    const before = limiter.peek('ada').remaining
    await through(limits, { schema, document }, () => result)
    return before - limiter.peek('ada').remaining
  }
  expect(await kept({ data: { a: [] } })).toBe(1)
  expect(await kept({ data: { a: [null, null] } })).toBe(1)
  expect(await kept({ errors: [{ message: 'no variables' }] })).toBe(1)
  expect(await kept({ data: null, errors: [{ message: 'x', path: ['a', 0, 'a'] }] })).toBe(whole)
  expect(await kept({ data: { a: null }, errors: [{ message: 'x', path: ['a'] }] })).toBe(1)
  for (const odd of [undefined, null, 7, 'x', [], { data: 7 }, { data: { a: 7 } }, { data: {} }]) {
    expect(await kept(odd), JSON.stringify(odd)).toBeLessThanOrEqual(whole)
  }
  limiter.close()
})
