import type {
  DocumentNode,
  FieldNode,
  FragmentDefinitionNode,
  OperationDefinitionNode,
  SelectionNode,
  SelectionSetNode,
  ValueNode,
} from 'graphql'
import { printable } from '../../validate.ts'
import { bounded, type Work } from './numbers.ts'
import { isLeftOut, type Variables } from './values.ts'

/*
 * A document's operations and fragments, and its depth.
 */

/** Nested fields and fragments that are followed: more would exhaust the stack. */
export const MAX_NESTING = 1_000

/** What a document defines. */
export interface Definitions {
  readonly operations: readonly OperationDefinitionNode[]
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>
}

export function definitionsOf(document: DocumentNode): Definitions {
  const operations: OperationDefinitionNode[] = []
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) {
    if (definition.kind === 'OperationDefinition') operations.push(definition)
    else if (definition.kind === 'FragmentDefinition') {
      fragments.set(definition.name.value, definition)
    }
  }
  return { operations, fragments }
}

/** @throws Error unless the name, or its absence, names one operation */
export function operationOf(
  { operations }: Definitions,
  name: string | null | undefined,
): OperationDefinitionNode {
  const isNamed = name !== undefined && name !== null
  const found = isNamed ? operations.filter((one) => one.name?.value === name) : operations
  const [operation] = found
  if (operation !== undefined && found.length === 1) return operation
  if (isNamed) throw notValid(`has ${found.length} operations called ${printable(name)}`)
  throw notValid(`has ${operations.length} operations, and operationName does not say which one`)
}

/** A document that a server would not execute. */
export class DocumentNotValid extends TypeError {
  readonly code = 'INVALID_ARGUMENT'
}

/** @param what is wrong with it, with no text of the client's but names, cut and escaped */
export function notValid(what: string): DocumentNotValid {
  return new DocumentNotValid(`the document ${what}`)
}

export function defaultsOf(operation: OperationDefinitionNode): ReadonlyMap<string, ValueNode> {
  const defaults = new Map<string, ValueNode>()
  for (const { variable, defaultValue } of operation.variableDefinitions ?? []) {
    if (defaultValue !== undefined) defaults.set(variable.name.value, defaultValue)
  }
  return defaults
}

/** Whether a field asks for the schema itself. */
export function isAboutSchema({ name }: FieldNode): boolean {
  return name.value === '__schema' || name.value === '__type'
}

/** Measures how deep an operation nests its fields, fragments followed. */
export class Depth {
  readonly #fragments: Definitions['fragments']
  readonly #variables: Variables
  readonly #work: Work
  /** By name; `undefined` while it is measured. */
  readonly #known = new Map<string, number | undefined>()

  constructor({ fragments }: Definitions, variables: Variables, work: Work) {
    this.#fragments = fragments
    this.#variables = variables
    this.#work = work
  }

  /**
   * @param nesting how many selection sets are around this one
   * @throws Error for a fragment that contains itself, or that is not there
   */
  of(set: SelectionSetNode, nesting = 0): number {
    if (nesting > MAX_NESTING) throw notValid(`nests more than ${MAX_NESTING} levels`)
    let deepest = 0
    for (const node of set.selections) {
      this.#work.step()
      if (isLeftOut(node.directives, this.#variables)) continue
      const depth = this.#ofSelection(node, nesting + 1)
      if (depth > deepest) deepest = depth
    }
    return deepest
  }

  #ofSelection(node: SelectionNode, nesting: number): number {
    if (node.kind === 'FragmentSpread') return this.#ofFragment(node.name.value, nesting)
    const below = node.selectionSet === undefined ? 0 : this.of(node.selectionSet, nesting)
    if (node.kind === 'InlineFragment') return below
    // What a schema says about itself is as deep as it is; its cost limits it.
    return isAboutSchema(node) ? 1 : bounded(1 + below)
  }

  #ofFragment(name: string, nesting: number): number {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    if (this.#known.has(name))
      throw notValid(`has a fragment ${printable(name)} that contains itself`)
    const fragment = this.#fragments.get(name)
    if (fragment === undefined) throw notValid(`has no fragment ${printable(name)}`)
    this.#known.set(name, undefined)
    const depth = this.of(fragment.selectionSet, nesting)
    this.#known.set(name, depth)
    return depth
  }
}
