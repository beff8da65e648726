import type {
  GraphQLArgument,
  GraphQLField,
  GraphQLInputField,
  GraphQLNamedType,
  GraphQLSchema,
  OperationTypeNode,
} from 'graphql'
import {
  annotationsOf,
  defaultOf,
  kindOf,
  type ListSize,
  unwrap,
  weightOf,
} from './schema-costs.ts'
import { type Variants, variantsOf } from './variants.ts'

/** All that costing needs to know of a field of a type. */
export interface FieldPlan {
  /** `undefined`: the schema gives none. */
  readonly weight: number | undefined
  /** What each scalar or enum that it returns costs besides. Of objects: {@link Member}. */
  readonly leafWeight: number
  /** How many lists are around what it returns. */
  readonly levels: number
  /** The object, interface or union that it returns, if it returns one. */
  readonly composite: GraphQLNamedType | undefined
  readonly listSize: ListSize | undefined
  /** Arguments that cost something, themselves or by their fields. */
  readonly costly: readonly InputPlan[]
  /** Each argument's default: `ABSENT` if it has none. */
  readonly defaults: ReadonlyMap<string, unknown>
}

/** An argument or a field of an input object that costs something. */
export interface InputPlan {
  readonly name: string
  readonly weight: number
  /** Its input object type, if fields of it cost something. */
  readonly inputs: GraphQLNamedType | undefined
}

/** An object type, where it, an interface or a union of it is returned. */
export interface Member {
  readonly object: GraphQLNamedType
  readonly weight: number
}

/** A member of a type, and its place among them. */
export interface Among {
  readonly object: GraphQLNamedType
  readonly at: number
}

type Fields = Readonly<Record<string, GraphQLField<unknown, unknown>>>
type Inputs = Readonly<Record<string, GraphQLInputField>>

/** What is known of a field that the schema does not have. */
const UNKNOWN: FieldPlan = {
  weight: undefined,
  leafWeight: 0,
  levels: 0,
  composite: undefined,
  listSize: undefined,
  costly: [],
  defaults: new Map(),
}

const COMPOSITES = ['GraphQLObjectType', 'GraphQLInterfaceType', 'GraphQLUnionType']

/** What a schema says, read once for each field that is asked for. */
export class SchemaPlans {
  readonly #schema: GraphQLSchema
  readonly #fields = new Map<GraphQLNamedType, Map<string, FieldPlan>>()
  readonly #inputs = new Map<GraphQLNamedType, readonly InputPlan[]>()
  readonly #members = new Map<GraphQLNamedType, readonly Member[]>()
  readonly #possible = new Map<GraphQLNamedType, ReadonlySet<GraphQLNamedType>>()
  readonly #places = new Map<GraphQLNamedType, ReadonlyMap<GraphQLNamedType, number>>()
  readonly #variants = new Map<GraphQLNamedType, Map<string, Variants>>()
  readonly #among = new Map<GraphQLNamedType, Map<GraphQLNamedType, readonly Among[]>>()

  constructor(schema: GraphQLSchema) {
    this.#schema = schema
  }

  /** Reads all that the schema says. @throws TypeError if a directive is not as it must be */
  readAll(): void {
    for (const type of Object.values(this.#schema.getTypeMap())) {
      const { getFields } = type as { readonly getFields?: () => Fields }
      this.#typeWeight(type)
      const isInput = kindOf(type) === 'GraphQLInputObjectType'
      const names = isInput ? [] : Object.keys(getFields?.call(type) ?? {})
      for (const name of names) this.field(type, name)
      if (kindOf(type) === 'GraphQLInterfaceType')
        for (const name of names) this.variants(type, name)
    }
  }

  rootOf(operation: OperationTypeNode | string): GraphQLNamedType | undefined {
    if (operation === 'mutation') return this.#schema.getMutationType() ?? undefined
    if (operation === 'subscription') return this.#schema.getSubscriptionType() ?? undefined
    return this.#schema.getQueryType() ?? undefined
  }

  typeOf(name: string): GraphQLNamedType | undefined {
    return this.#schema.getType(name)
  }

  /** The object types that a value of this type may have. Without any, the type itself stands for them. */
  possible(type: GraphQLNamedType): ReadonlySet<GraphQLNamedType> {
    const known = this.#possible.get(type)
    if (known !== undefined) return known
    const kind = kindOf(type)
    const isAbstract = kind === 'GraphQLInterfaceType' || kind === 'GraphQLUnionType'
    const objects = isAbstract ? this.#schema.getPossibleTypes(type as never) : [type]
    const found = new Set(objects.length === 0 ? [type] : objects)
    this.#possible.set(type, found)
    return found
  }

  /** The object types that a value of this type may have, with what an object of each costs besides its fields. */
  members(type: GraphQLNamedType): readonly Member[] {
    const known = this.#members.get(type)
    if (known !== undefined) return known
    const own = this.#typeWeight(type)
    const members = [...this.possible(type)].map((object) => ({
      object,
      weight: this.#typeWeight(object) ?? own ?? 0,
    }))
    this.#members.set(type, members)
    return members
  }

  #typeWeight(type: GraphQLNamedType): number | undefined {
    return weightOf(type, type.name)
  }

  /** Whether a fragment on a type applies to objects of another. A type that the schema does not have applies. */
  applies(condition: string, type: GraphQLNamedType): boolean {
    if (condition === type.name) return true
    const wanted = this.#schema.getType(condition)
    return wanted === undefined || this.possible(wanted).has(type)
  }

  /**
   * The members of a type that a fragment on another applies to.
   *
   * @returns `undefined` if it applies to all of them
   */
  among(type: GraphQLNamedType, condition: string): readonly Among[] | undefined {
    const wanted = this.#schema.getType(condition)
    if (wanted === undefined || wanted === type) return undefined
    const known = entryOf(this.#among, type)
    let found = known.get(wanted)
    if (found === undefined) {
      const places = this.#placesOf(type)
      found = [...this.possible(wanted)].flatMap((object) => {
        const at = places.get(object)
        return at === undefined ? [] : [{ object, at }]
      })
      known.set(wanted, found)
    }
    return found.length === this.members(type).length ? undefined : found
  }

  #placesOf(type: GraphQLNamedType): ReadonlyMap<GraphQLNamedType, number> {
    let places = this.#places.get(type)
    if (places === undefined) {
      places = new Map(this.members(type).map(({ object }, at) => [object, at]))
      this.#places.set(type, places)
    }
    return places
  }

  /** A field as the members of a type have it; `undefined` if not all of them do. */
  variants(type: GraphQLNamedType, name: string): Variants | undefined {
    const known = entryOf(this.#variants, type)
    const found = known.get(name)
    if (found !== undefined) return found
    const members = this.members(type)
    // Only names that the schema has are kept: clients could make up any number of others.
    const isEverywhere = members.every(({ object }) => name === '__typename' || has(object, name))
    if (!isEverywhere) return undefined
    const made = variantsOf(members, (object) => this.field(object, name))
    known.set(name, made)
    return made
  }

  field(type: GraphQLNamedType, name: string): FieldPlan {
    const plans = entryOf(this.#fields, type)
    const known = plans.get(name)
    if (known !== undefined) return known
    const field = this.#find(type, name)
    // Not kept: clients could make up any number of names.
    if (field === undefined) return UNKNOWN
    const plan = this.#read(type, field)
    plans.set(name, plan)
    return plan
  }

  #find(type: GraphQLNamedType, name: string): GraphQLField<unknown, unknown> | undefined {
    const { getFields } = type as { readonly getFields?: () => Fields }
    const fields = getFields?.call(type)
    if (fields !== undefined && Object.hasOwn(fields, name)) return fields[name]
    if (type !== this.#schema.getQueryType()) return undefined
    return this.#introspection(name)
  }

  /** `__schema` and `__type`, as far as costing them needs fields: the schema has the types that they return. */
  #introspection(name: string): GraphQLField<unknown, unknown> | undefined {
    const returned = { __schema: '__Schema', __type: '__Type' }[name]
    const type = returned && this.#schema.getType(returned)
    return type
      ? ({ name, type, args: [] } as unknown as GraphQLField<unknown, unknown>)
      : undefined
  }

  #read(type: GraphQLNamedType, field: GraphQLField<unknown, unknown>): FieldPlan {
    const name = `${type.name}.${field.name}`
    const { named, levels } = unwrap(field.type)
    const isComposite = COMPOSITES.includes(kindOf(named))
    const args = field.args as readonly GraphQLArgument[]
    const { weight, listSize } = annotationsOf(this.#schema, type, field, name)
    return {
      weight,
      listSize,
      leafWeight: isComposite ? 0 : (this.#typeWeight(named) ?? 0),
      levels,
      composite: isComposite ? named : undefined,
      costly: args.flatMap((one) => this.#costly(one, `${name}(${one.name})`)),
      defaults: new Map(args.map((one) => [one.name, defaultOf(one)])),
    }
  }

  /** The fields of an input object type that cost something. */
  inputs(type: GraphQLNamedType): readonly InputPlan[] {
    const known = this.#inputs.get(type)
    if (known !== undefined) return known
    if (kindOf(type) !== 'GraphQLInputObjectType') return []
    // Meanwhile, for types that contain themselves: assume that they cost something.
    this.#inputs.set(type, [{ name: '', weight: 0, inputs: undefined }])
    const fields = (type as unknown as { getFields(): Inputs }).getFields()
    const found = Object.values(fields).flatMap((one) =>
      this.#costly(one, `${type.name}.${one.name}`),
    )
    this.#inputs.set(type, found)
    return found
  }

  #costly(input: GraphQLArgument | GraphQLInputField, name: string): readonly InputPlan[] {
    const { named } = unwrap(input.type)
    const weight = weightOf(input, name)
    const hasInputs = this.inputs(named).length > 0
    if (weight === undefined && !hasInputs) return []
    return [{ name: input.name, weight: weight ?? 0, inputs: hasInputs ? named : undefined }]
  }
}

function entryOf<Key, Value>(
  of: Map<GraphQLNamedType, Map<Key, Value>>,
  type: GraphQLNamedType,
): Map<Key, Value> {
  let found = of.get(type)
  if (found === undefined) {
    found = new Map()
    of.set(type, found)
  }
  return found
}

function has(type: GraphQLNamedType, name: string): boolean {
  const { getFields } = type as { readonly getFields?: () => Fields }
  return Object.hasOwn(getFields?.call(type) ?? {}, name)
}

const PLANS = new WeakMap<GraphQLSchema, SchemaPlans>()

export function plansOf(schema: GraphQLSchema): SchemaPlans {
  const known = PLANS.get(schema)
  if (known !== undefined) return known
  const made = new SchemaPlans(schema)
  PLANS.set(schema, made)
  return made
}
