import type {
  DocumentNode,
  GraphQLNamedType,
  GraphQLSchema,
  OperationDefinitionNode,
} from 'graphql'
import { ActualCost } from './actual-cost.ts'
import { type Definitions, Depth, defaultsOf, definitionsOf, notValid } from './document.ts'
import { MOST, TooMuchWork, Work, wholeUnits } from './numbers.ts'
import { plansOf } from './plans.ts'
import { Variables } from './values.ts'
import { ROOT, Scales, type WeighOptions } from './weigh.ts'

/** What an operation may cost, in units, and how deep it nests. */
export interface OperationCost {
  /** A whole number, from 0 to 2^53 - 1, which stands for that or more. */
  readonly cost: number
  /** Levels of fields; fragments are no levels. */
  readonly depth: number
}

const TOO_MUCH: OperationCost = Object.freeze({ cost: MOST, depth: MOST })
/** Selections that are looked at, at most: some milliseconds. */
const MAX_STEPS = 10_000
/** Of a result. As many fields as a server sends in a tenth of a second. */
const MAX_ACTUAL_STEPS = 1_000_000
/** Results that are kept for one document: of different operations and schemas. */
const MAX_KEPT = 100

/** What is kept of one document. Its costs only where they depend on no variable. */
interface Known {
  readonly definitions: Definitions
  readonly costs: Map<string, OperationCost>
}

/** Costs of documents, under one set of options. */
export class Costs {
  readonly options: WeighOptions
  readonly #schemas = new WeakMap<GraphQLSchema, WeakMap<DocumentNode, Known>>()

  constructor(options: WeighOptions) {
    this.options = options
  }

  definitions(schema: GraphQLSchema, document: DocumentNode): Definitions {
    return this.#known(schema, document).definitions
  }

  /** @throws TypeError or RangeError for a document that a server would not execute */
  of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    given: unknown,
  ): OperationCost {
    const { definitions, costs } = this.#known(schema, document)
    const name = operation.name?.value ?? ''
    const known = costs.get(name)
    if (known !== undefined) return known
    const variables = new Variables(given, defaultsOf(operation))
    const cost = this.#count(schema, operation, definitions, variables)
    if (!variables.wereRead && costs.size < MAX_KEPT) costs.set(name, cost)
    return cost
  }

  #count(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    definitions: Definitions,
    variables: Variables,
  ): OperationCost {
    const work = new Work(MAX_STEPS)
    try {
      const depth = new Depth(definitions, variables, work).of(operation.selectionSet)
      const plans = plansOf(schema)
      const scales = new Scales(plans, definitions, variables, this.options, work)
      const cost = scales.set(operation.selectionSet, rootOf(schema, operation), ROOT)
      return { cost: wholeUnits(cost), depth }
    } catch (error) {
      if (error instanceof TooMuchWork) return TOO_MUCH
      throw error
    }
  }

  /**
   * What an operation did cost, by what it returned.
   *
   * @returns `undefined` if that can not be said: what was returned is too large, or none of this operation
   */
  actual(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    given: unknown,
    result: ActualResult,
  ): number | undefined {
    const { definitions } = this.#known(schema, document)
    const variables = new Variables(given, defaultsOf(operation))
    const work = new Work(MAX_ACTUAL_STEPS)
    try {
      const scales = new Scales(plansOf(schema), definitions, variables, this.options, work)
      const root = rootOf(schema, operation)
      const cost = new ActualCost(scales, result.errors ?? [], work).of(
        operation,
        root,
        result.data,
      )
      return wholeUnits(cost)
    } catch (error) {
      if (error instanceof TooMuchWork) return undefined
      throw error
    }
  }

  #known(schema: GraphQLSchema, document: DocumentNode): Known {
    let documents = this.#schemas.get(schema)
    if (documents === undefined) {
      documents = new WeakMap()
      this.#schemas.set(schema, documents)
    }
    const known = documents.get(document)
    if (known !== undefined) return known
    const made = { definitions: definitionsOf(document), costs: new Map() }
    documents.set(document, made)
    return made
  }
}

/** As much of a result as is counted. */
export interface ActualResult {
  readonly data?: unknown
  readonly errors?:
    | readonly { readonly path?: readonly (string | number)[] | undefined }[]
    | undefined
}

function rootOf(schema: GraphQLSchema, { operation }: OperationDefinitionNode): GraphQLNamedType {
  const root = plansOf(schema).rootOf(operation)
  if (root === undefined) throw notValid(`has a ${operation}, and the schema has none`)
  return root
}
