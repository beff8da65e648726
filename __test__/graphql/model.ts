import type { ArgValue, Node, QuerySpec } from './random-query.ts'
import type { FieldSpec, SchemaSpec, TypeSpec } from './random-schema.ts'

/*
 * The slow model of costs: it writes every fragment out, for every object type, and adds up what there is. It reads the
 * data that schemas and queries were made from, and no text.
 */

const LIST_SIZE = 10
const BY_CUSTOM = ['edges', 'nodes', 'items']

type Field = Extract<Node, { kind: 'field' }>

/** A size that a field gives to those directly below it. */
interface Given {
  readonly size: number
  readonly names: readonly string[] | undefined
}

export class Model {
  readonly #schema: SchemaSpec
  readonly #query: QuerySpec

  constructor(schema: SchemaSpec, query: QuerySpec) {
    this.#schema = schema
    this.#query = query
  }

  cost(): number {
    const cost = this.#set(this.#query.nodes, 'Query', undefined)
    return Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(cost))
  }

  depth(nodes: readonly Node[] = this.#query.nodes): number {
    const depths = nodes
      .filter((node) => !isLeftOut(node))
      .map((node) => {
        if (node.kind === 'spread')
          return this.depth(this.#query.fragments.get(node.fragment)?.nodes)
        if (node.kind === 'inline') return this.depth(node.below)
        return 1 + (node.below === undefined ? 0 : this.depth(node.below))
      })
    return Math.max(0, ...depths)
  }

  #type(name: string): TypeSpec | undefined {
    return this.#schema.types.get(name)
  }

  #objects(type: string): readonly string[] {
    const spec = this.#type(type)
    return spec === undefined || spec.kind === 'object' || spec.members.length === 0
      ? [type]
      : spec.members
  }

  #set(nodes: readonly Node[], type: string, given: Given | undefined): number {
    return Math.max(
      ...this.#objects(type).map(
        (object) => this.typeWeight(object, type) + this.#object(nodes, object, given),
      ),
    )
  }

  #object(nodes: readonly Node[], object: string, given: Given | undefined): number {
    return this.fieldsOf(nodes, object).reduce(
      (sum, field) => sum + this.#field(field, object, given),
      0,
    )
  }

  /** All fields that an object of this type has to return, with fragments written out. */
  fieldsOf(nodes: readonly Node[], object: string): readonly Field[] {
    return nodes
      .filter((node) => !isLeftOut(node))
      .flatMap((node) => {
        if (node.kind === 'field') return [node]
        const on = node.kind === 'inline' ? node.on : this.#query.fragments.get(node.fragment)?.on
        const below =
          node.kind === 'inline'
            ? node.below
            : (this.#query.fragments.get(node.fragment)?.nodes ?? [])
        const applies = on === undefined || on === object || this.#objects(on).includes(object)
        return applies ? this.fieldsOf(below, object) : []
      })
  }

  /** A field of an object, with what it has from its interfaces. */
  specOf(object: string, name: string): FieldSpec | undefined {
    const own = this.#type(object)?.fields.find((one) => one.name === name)
    const from = [...this.#schema.types.values()]
      .filter((one) => one.kind === 'interface' && one.members.includes(object))
      .flatMap((one) => one.fields.filter((field) => field.name === name))
    if (own === undefined) return undefined
    const hasSize =
      own.assumed !== undefined || own.slicing !== undefined || own.sized !== undefined
    const sizes = hasSize
      ? own
      : (from.find(
          (one) =>
            one.assumed !== undefined || one.slicing !== undefined || one.sized !== undefined,
        ) ?? own)
    const weight = own.weight ?? from.find((one) => one.weight !== undefined)?.weight
    return { ...own, weight, assumed: sizes.assumed, slicing: sizes.slicing, sized: sizes.sized }
  }

  /** What a field costs itself. */
  own({ field, alias, args }: Field, spec: FieldSpec | undefined): number {
    if (spec === undefined) return alias === undefined ? 0 : 1
    const weights = args.map((arg) => this.#argument(arg, spec))
    return (
      Math.max(0, (spec.weight ?? 1) + weights.reduce((sum, one) => sum + one, 0)) +
      0 * field.length
    )
  }

  #argument({ name, value }: ArgValue, spec: FieldSpec): number {
    if (value === undefined) return 0
    const { weight = 0, type } = spec.args.find((one) => one.name === name) ?? { type: '' }
    return weight + (type === 'In' ? this.#input(value as Record<string, unknown>) : 0)
  }

  #input(value: Record<string, unknown>): number {
    const { n = 0, m = 0 } = this.#schema.inputs
    const { more = [] } = value as { more?: Record<string, unknown>[] }
    const own = (Object.hasOwn(value, 'n') ? n : 0) + (Object.hasOwn(value, 'm') ? m : 0)
    return more.reduce((sum, one) => sum + this.#input(one), own)
  }

  /** What an object costs besides its fields. */
  typeWeight(object: string, returned: string): number {
    return this.#type(object)?.weight ?? this.#type(returned)?.weight ?? 0
  }

  #field(field: Field, object: string, from: Given | undefined): number {
    const spec = this.specOf(object, field.field)
    const own = this.own(field, spec)
    if (spec === undefined) return own
    const { size, below } = this.#size(field, spec, from)
    const inner = field.below === undefined ? 0 : this.#set(field.below, spec.returns, below)
    return own + size * inner
  }

  #size(
    { args, field }: Field,
    spec: FieldSpec,
    from: Given | undefined,
  ): { size: number; below: Given | undefined } {
    const isTold =
      spec.assumed !== undefined || spec.slicing !== undefined || spec.sized !== undefined
    const assumed = spec.assumed ?? LIST_SIZE
    const names = isTold ? (spec.slicing ?? []) : ['first', 'last', 'limit', 'take']
    const values = names.flatMap((name) => {
      const spelt = spec.args.find((one) => one.name === name)
      if (spelt === undefined) return []
      const written = args.find((one) => one.name === name)?.value
      const value = written === undefined ? spelt.fallback : written
      return value === undefined
        ? []
        : [typeof value === 'number' && value >= 1 ? value : Math.max(1, assumed)]
    })
    const sliced = values.length === 0 ? undefined : Math.max(...values)
    let below: Given | undefined
    if (spec.sized !== undefined && spec.sized.length > 0)
      below = { size: sliced ?? assumed, names: spec.sized }
    else if (!isTold && spec.lists === 0 && sliced !== undefined)
      below = { size: sliced, names: undefined }
    if (spec.lists === 0) return { size: 1, below }
    let size =
      spec.sized !== undefined && spec.sized.length > 0 ? undefined : (sliced ?? spec.assumed)
    if (size === undefined && from !== undefined) {
      if (from.names === undefined)
        size = BY_CUSTOM.includes(field) ? from.size : Math.max(from.size, LIST_SIZE)
      else if (from.names.includes(field)) size = from.size
    }
    return { size: (size ?? LIST_SIZE) * LIST_SIZE ** (spec.lists - 1), below }
  }
}

function isLeftOut({ condition }: Node): boolean {
  return condition !== undefined && condition.value === (condition.directive === 'skip')
}
