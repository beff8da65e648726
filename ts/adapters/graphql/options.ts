import type { DocumentNode, GraphQLSchema } from 'graphql'
import { requirePeer } from '../../peers.ts'
import * as validate from '../../validate.ts'
import { Costs, type OperationCost } from './cost.ts'
import { notValid, operationOf } from './document.ts'
import { countTokens } from './tokens.ts'
import type { WeighOptions } from './weigh.ts'

/** How costs are counted, where the schema says nothing. */
export interface CostOptions {
  /** How many elements a list is taken to have of which nothing else is known, from 1 to 1,000,000. Default: 10. */
  readonly listSize?: number | undefined
  /** What a field without `@cost` costs that returns an object, interface or union, from 0 on. Default: 1. */
  readonly fieldCost?: number | undefined
  /** What a field without `@cost` costs that returns scalars or enums, from 0 on. Default: 1. */
  readonly scalarCost?: number | undefined
  /** Arguments that say how long a list is, of fields without `@listSize`. Default: first, last, limit, take. */
  readonly slicingArguments?: readonly string[] | undefined
}

/** Options of {@link costOf}. */
export interface CostOfOptions extends CostOptions {
  /** Which operation of the document runs. Not needed where there is one. */
  readonly operationName?: string | null | undefined
}

const SLICING = ['first', 'last', 'limit', 'take']
const NAME = /^[_A-Za-z][\w.]{0,127}$/

/** Each option of costs with its reader. */
export const COST_READERS: validate.Readers<WeighOptions> = {
  listSize: (value, name) => validate.integer(value ?? 10, name, 1, 1_000_000),
  fieldCost: (value = 1, name) => readWeight(value, name),
  scalarCost: (value = 1, name) => readWeight(value, name),
  slicingArguments: (value = SLICING, name) => readNames(value, name),
}

function readWeight(value: unknown, name: string): number {
  if (typeof value === 'number' && value >= 0 && value <= 1_000_000_000) return value
  throw validate.invalid('number', 'INVALID_OPTION', name, 'a number from 0 to 1000000000', value)
}

function readNames(value: unknown, name: string): readonly string[] {
  const isList = Array.isArray(value) && value.length <= 100
  if (isList && value.every((one) => typeof one === 'string' && NAME.test(one))) return [...value]
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'a list of names of arguments', value)
}

const KNOWN = [...Object.keys(COST_READERS), 'operationName']
/** By what the options say: programs write them down again for each call. */
const COSTS = new Map<string, Costs>()
const MAX_COSTS = 100

function costsFor(options: CostOptions): Costs {
  const read = validate.readEach<WeighOptions>(options, COST_READERS)
  const id = JSON.stringify(read)
  const known = COSTS.get(id)
  if (known !== undefined) return known
  if (COSTS.size >= MAX_COSTS) COSTS.clear()
  const made = new Costs(read)
  COSTS.set(id, made)
  return made
}

/**
 * What an operation may cost, and how deep it nests, before it runs.
 *
 * ```ts
 * const { cost, depth } = costOf(schema, document, variables, { listSize: 10 })
 * ```
 *
 * Every field costs its `@cost(weight)`, else 1. What is below a list counts as often as the list may have elements: as
 * many as its slicing argument says, else as `@listSize(assumedSize)` says, else `listSize`.
 *
 * @param document parsed, or its text, of at most 100,000 characters and 10,000 tokens: the package graphql parses it
 * @throws TypeError or RangeError for a document that a server would not execute, such as one with fragments that
 * contain themselves
 */
export function costOf(
  schema: GraphQLSchema,
  document: DocumentNode | string,
  variables?: Readonly<Record<string, unknown>> | null,
  options: CostOfOptions = {},
): OperationCost {
  const own = validate.ownOptions(options, KNOWN)
  const costs = costsFor(own)
  if (typeof (schema as Partial<GraphQLSchema> | null)?.getTypeMap !== 'function') {
    const accepted = 'a GraphQLSchema, as buildSchema(text) makes it'
    throw validate.invalid(TypeError, 'INVALID_ARGUMENT', 'schema', accepted, schema)
  }
  const parsed = typeof document === 'string' ? parsedText(document) : document
  if (!Array.isArray((parsed as Partial<DocumentNode> | null)?.definitions)) {
    const accepted = 'a document of graphql, or its text'
    throw validate.invalid(TypeError, 'INVALID_ARGUMENT', 'document', accepted, document)
  }
  const operation = operationOf(costs.definitions(schema, parsed), own.operationName)
  return costs.of(schema, parsed, operation, variables)
}

const MAX_CHARACTERS = 100_000
const MAX_TOKENS = 10_000
/** Texts of documents that are kept parsed: those that were asked for last. */
const MAX_TEXTS = 1_000
const TEXTS = new Map<string, DocumentNode>()

function parsedText(text: string): DocumentNode {
  const known = TEXTS.get(text)
  if (known !== undefined) {
    TEXTS.delete(text)
    TEXTS.set(text, known)
    return known
  }
  if (text.length > MAX_CHARACTERS || countTokens(text, MAX_TOKENS) > MAX_TOKENS) {
    throw notValid(`has more than ${MAX_CHARACTERS} characters or ${MAX_TOKENS} tokens`)
  }
  const { parse } = requirePeer<typeof import('graphql')>('graphql', 'ratethrottle/graphql', () =>
    require('graphql'),
  )
  const document = parse(text, { noLocation: true })
  if (TEXTS.size >= MAX_TEXTS) TEXTS.delete(TEXTS.keys().next().value as string)
  TEXTS.set(text, document)
  return document
}
