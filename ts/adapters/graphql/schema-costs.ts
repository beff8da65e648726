import type {
  DirectiveNode,
  GraphQLArgument,
  GraphQLField,
  GraphQLInputField,
  GraphQLNamedType,
  GraphQLSchema,
} from 'graphql'
import { invalid } from '../../validate.ts'
import { ABSENT, readValue, Variables } from './values.ts'

/*
 * What a schema says about costs: `@cost` and `@listSize`, as its text has them, or as `extensions` of a schema that is
 * made in code.
 */

/** `@listSize` of a field. */
export interface ListSize {
  readonly assumedSize: number | undefined
  /** Arguments, or paths of input fields such as `page.first`. */
  readonly slicingArguments: readonly string[]
  /** Fields of what the field returns that have this size, such as `edges`. Empty: the field itself has it. */
  readonly sizedFields: readonly string[]
  /** Whether the schema states that exactly one slicing argument must be given. */
  readonly requiresOne: boolean
}

/** Whatever a schema hangs its directives on. */
interface Annotated {
  readonly astNode?:
    | { readonly directives?: readonly DirectiveNode[] | undefined }
    | null
    | undefined
  readonly extensionASTNodes?: readonly { readonly directives?: readonly DirectiveNode[] }[]
  readonly extensions?: Readonly<Record<string, unknown>> | undefined
}

type Arguments = Readonly<Record<string, unknown>>

const NO_VARIABLES = new Variables({}, new Map())

/** The weight that `@cost` gives, or the extension `cost`. */
export function weightOf(annotated: Annotated, name: string): number | undefined {
  const given = directiveOf(annotated, 'cost')
  if (given === undefined) return undefined
  const { weight } = given
  // The specification has it as text: GraphQL's own floats differ between clients.
  const number = typeof weight === 'string' && weight.trim() !== '' ? Number(weight) : weight
  if (typeof number === 'number' && Number.isFinite(number)) return number
  throw wrong(`@cost(weight) of ${name}`, 'a number, or a text that is one', weight)
}

/** `@listSize`, or the extension `listSize`. */
export function listSizeOf(annotated: Annotated, name: string): ListSize | undefined {
  const given = directiveOf(annotated, 'listSize')
  if (given === undefined) return undefined
  const { assumedSize, slicingArguments, sizedFields, requireOneSlicingArgument } = given
  const at = `@listSize of ${name}: `
  if (assumedSize !== undefined && assumedSize !== null && !isSize(assumedSize)) {
    throw wrong(`${at}assumedSize`, 'a whole number from 0', assumedSize)
  }
  return {
    assumedSize: (assumedSize as number | null | undefined) ?? undefined,
    slicingArguments: namesOf(slicingArguments, `${at}slicingArguments`),
    sizedFields: namesOf(sizedFields, `${at}sizedFields`),
    requiresOne: requireOneSlicingArgument === true,
  }
}

function isSize(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function namesOf(value: unknown, name: string): readonly string[] {
  if (value === undefined || value === null) return []
  // As in GraphQL one value stands for a list of it.
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.every((one) => typeof one === 'string')) return list as readonly string[]
  throw wrong(name, 'a list of names', value)
}

function wrong(name: string, accepted: string, value: unknown): Error {
  return invalid(TypeError, 'INVALID_ARGUMENT', name, accepted, value)
}

/** The arguments of a directive: of the text first, then of `extensions`. */
function directiveOf(annotated: Annotated, name: string): Arguments | undefined {
  const { astNode, extensionASTNodes = [], extensions } = annotated
  for (const node of [astNode, ...extensionASTNodes]) {
    const found = node?.directives?.find((one) => one.name.value === name)
    if (found !== undefined) return argumentsOf(found)
  }
  return extensions && fromExtensions(extensions, name)
}

function argumentsOf({ arguments: nodes = [] }: DirectiveNode): Arguments {
  const entries = nodes.map(({ name, value }) => [name.value, readValue(value, NO_VARIABLES)])
  return Object.fromEntries(entries)
}

/** `{ cost: 5 }`, `{ cost: { weight: 5 } }`, or below `directives`, as an object or a list, as graphql-tools has it. */
function fromExtensions(extensions: Arguments, name: string): Arguments | undefined {
  const own = Object.hasOwn(extensions, name) ? extensions[name] : undefined
  if (own !== undefined && own !== null) return asArguments(own, name)
  const { directives } = extensions
  if (typeof directives !== 'object' || directives === null) return undefined
  if (Array.isArray(directives)) {
    const found = (directives as { name?: unknown; args?: unknown }[]).find(
      (one) => one?.name === name,
    )
    return found && asArguments(found.args ?? {}, name)
  }
  const among = Object.hasOwn(directives, name) ? (directives as Arguments)[name] : undefined
  return among === undefined || among === null
    ? undefined
    : asArguments(Array.isArray(among) ? among[0] : among, name)
}

function asArguments(value: unknown, name: string): Arguments {
  if (typeof value === 'object' && value !== null) return value as Arguments
  return name === 'cost' ? { weight: value } : { assumedSize: value }
}

/** A type without its lists and its `!`, and how many lists there are. */
export function unwrap(type: unknown): {
  readonly named: GraphQLNamedType
  readonly levels: number
} {
  let at = type as { readonly ofType?: unknown } & object
  let levels = 0
  while (at.ofType !== undefined) {
    if (kindOf(at) === 'GraphQLList') levels++
    at = at.ofType as typeof at
  }
  return { named: at as GraphQLNamedType, levels }
}

/** By name: the classes of another copy of graphql are others. */
export function kindOf(type: object): string {
  return (type as { readonly [Symbol.toStringTag]?: string })[Symbol.toStringTag] ?? ''
}

/** What a schema gives an argument that a client leaves out: {@link ABSENT} if nothing. */
export function defaultOf(argument: GraphQLArgument | GraphQLInputField): unknown {
  // graphql 17 has `default`, with a value or a node, where graphql 16 has `defaultValue`.
  const { defaultValue, default: later } = argument as {
    readonly defaultValue?: unknown
    readonly default?: {
      readonly value?: unknown
      readonly literal?: Parameters<typeof readValue>[0]
    }
  }
  if (defaultValue !== undefined) return defaultValue
  if (later?.literal !== undefined) return readValue(later.literal, NO_VARIABLES)
  return later?.value === undefined ? ABSENT : later.value
}

/** A field of a type, its directives those of the interface where the type has none. */
export function annotationsOf(
  schema: GraphQLSchema,
  type: GraphQLNamedType,
  field: GraphQLField<unknown, unknown>,
  name: string,
): { readonly weight: number | undefined; readonly listSize: ListSize | undefined } {
  const { interfaces, fields } = relatedTo(type, field)
  let weight = weightOf(field, name)
  let listSize = listSizeOf(field, name)
  for (const other of interfaces.map((one) => schema.getType(one.name) ?? one).flatMap(fields)) {
    weight ??= weightOf(other, name)
    listSize ??= listSizeOf(other, name)
  }
  return { weight, listSize }
}

function relatedTo(
  type: GraphQLNamedType,
  { name }: GraphQLField<unknown, unknown>,
): {
  readonly interfaces: readonly GraphQLNamedType[]
  readonly fields: (of: GraphQLNamedType) => readonly GraphQLField<unknown, unknown>[]
} {
  const { getInterfaces } = type as { readonly getInterfaces?: () => readonly GraphQLNamedType[] }
  return {
    interfaces: getInterfaces?.call(type) ?? [],
    fields: (of) => {
      const { getFields } = of as {
        getFields?: () => Record<string, GraphQLField<unknown, unknown>>
      }
      const found = getFields?.call(of)[name]
      return found === undefined ? [] : [found]
    },
  }
}
