import type { ArgumentNode, DirectiveNode, ObjectFieldNode, ValueNode } from 'graphql'

/*
 * What a document says about the values of arguments, with its variables. All of it comes from clients.
 */

/** An argument that is not there. */
export const ABSENT: unique symbol = Symbol('ratethrottle.absent')

/** Longest nesting of a value that is looked at. */
const MAX_NESTING = 100

/** The variables of one operation. */
export class Variables {
  readonly #given: Readonly<Record<string, unknown>>
  readonly #defaults: ReadonlyMap<string, ValueNode>
  /** Lists and objects that are written in the document: a fragment's are asked for once for each type. */
  readonly #read = new Map<ValueNode, unknown>()
  readonly #leftOut = new Map<readonly DirectiveNode[], boolean>()
  /** Whether any was asked for: a cost that depends on none can be kept. */
  wereRead = false

  constructor(given: unknown, defaults: ReadonlyMap<string, ValueNode>) {
    const isObject = typeof given === 'object' && given !== null
    this.#given = isObject ? (given as Record<string, unknown>) : {}
    this.#defaults = defaults
  }

  /** The value that a node stands for. */
  read(node: ValueNode): unknown {
    if (node.kind !== 'ListValue' && node.kind !== 'ObjectValue') return readValue(node, this)
    if (!this.#read.has(node)) this.#read.set(node, readValue(node, this))
    return this.#read.get(node)
  }

  /** Whether these directives leave a selection out. */
  leaveOut(directives: readonly DirectiveNode[]): boolean {
    let leftOut = this.#leftOut.get(directives)
    if (leftOut === undefined) {
      leftOut = directives.some((directive) => leavesOut(directive, this))
      this.#leftOut.set(directives, leftOut)
    }
    return leftOut
  }

  get(name: string): unknown {
    this.wereRead = true
    // Own, so that neither a polluted prototype nor a variable called `constructor` is read.
    const value = Object.hasOwn(this.#given, name) ? this.#given[name] : undefined
    if (value !== undefined) return value
    const fallback = this.#defaults.get(name)
    return fallback === undefined ? ABSENT : readValue(fallback, this)
  }
}

/**
 * The value that a node stands for: numbers, texts, booleans, null, arrays and objects. {@link ABSENT} for a variable
 * that has none.
 */
export function readValue(node: ValueNode, variables: Variables, nesting = 0): unknown {
  if (nesting > MAX_NESTING) return undefined
  switch (node.kind) {
    case 'Variable':
      return variables.get(node.name.value)
    case 'IntValue':
    case 'FloatValue':
      return Number(node.value)
    case 'StringValue':
    case 'BooleanValue':
    case 'EnumValue':
      return node.value
    case 'NullValue':
      return null
    case 'ListValue':
      return node.values.map((value) => readValue(value, variables, nesting + 1))
    case 'ObjectValue':
      return objectOf(node.fields, variables, nesting + 1)
    default:
      return undefined
  }
}

function objectOf(
  fields: readonly ObjectFieldNode[],
  variables: Variables,
  nesting: number,
): object {
  const object = Object.create(null) as Record<string, unknown>
  for (const { name, value } of fields) {
    const found = readValue(value, variables, nesting)
    if (found !== ABSENT) object[name.value] = found
  }
  return object
}

/** The node of an argument. */
export function argumentOf(
  from: readonly ArgumentNode[] | undefined,
  name: string,
): ValueNode | undefined {
  return from?.find((node) => node.name.value === name)?.value
}

/** Whether `@skip` or `@include` leaves a selection out. One whose condition is no boolean counts. */
export function isLeftOut(
  directives: readonly DirectiveNode[] | undefined,
  variables: Variables,
): boolean {
  return directives !== undefined && directives.length > 0 && variables.leaveOut(directives)
}

function leavesOut(
  { name: { value: name }, arguments: given }: DirectiveNode,
  variables: Variables,
): boolean {
  if (name !== 'skip' && name !== 'include') return false
  const node = argumentOf(given, 'if')
  return node !== undefined && readValue(node, variables) === (name === 'skip')
}
