import type {
  FieldNode,
  GraphQLNamedType,
  SelectionNode,
  SelectionSetNode,
  ValueNode,
} from 'graphql'
import { type Definitions, isAboutSchema } from './document.ts'
import { type SizeOptions, type Sizes, type Sizing, sizesOf } from './list-sizes.ts'
import { plus, times, type Work } from './numbers.ts'
import type { FieldPlan, InputPlan, SchemaPlans } from './plans.ts'
import { ABSENT, argumentOf, isLeftOut, readValue, type Variables } from './values.ts'

/*
 * What an operation may cost, before it runs: each field its weight, and what is below it as often as the list that it
 * returns is taken to have elements.
 */

export interface WeighOptions extends SizeOptions {
  /** Of a field without a weight that returns scalars or enums. */
  readonly scalarCost: number
  /** Of any other field without a weight. */
  readonly fieldCost: number
}

/** Lists in a row below `__schema` that count once: the query that tools send has three. */
export const PLAIN_LISTS = 3
/** For what is not about the schema. */
const ORDINARY = -1

/** Where in an operation a selection set is, as far as its cost depends on that. */
export interface Place {
  readonly sizing: Sizing | undefined
  /** Lists around it since `__schema`, or {@link ORDINARY}. */
  readonly lists: number
  /** One text for each different place. */
  readonly id: string
}

export const ROOT: Place = { sizing: undefined, lists: ORDINARY, id: '' }
/** Places below `__schema`, by the lists around them. */
const ABOUT_SCHEMA: readonly Place[] = Array.from({ length: PLAIN_LISTS + 1 }, (_, lists) => ({
  sizing: undefined,
  lists,
  id: `schema ${lists}`,
}))

type ByType = Map<GraphQLNamedType, number>

/** What is known of a selection set, by place: of values of a type, and of objects of a type. */
interface Places {
  readonly values: Map<string, ByType>
  readonly objects: Map<string, ByType>
}

function knownAt(places: Map<string, ByType>, { id }: Place): ByType {
  let known = places.get(id)
  if (known === undefined) {
    known = new Map()
    places.set(id, known)
  }
  return known
}

/** Weighs the selections of one operation. Each selection set is weighed once for each type and place it is used in. */
export class Scales {
  readonly plans: SchemaPlans
  readonly options: WeighOptions
  readonly variables: Variables
  readonly #fragments: Definitions['fragments']
  readonly #work: Work
  readonly #known = new Map<SelectionSetNode, Places>()

  constructor(
    plans: SchemaPlans,
    { fragments }: Definitions,
    variables: Variables,
    options: WeighOptions,
    work: Work,
  ) {
    this.plans = plans
    this.#fragments = fragments
    this.variables = variables
    this.options = options
    this.#work = work
  }

  /** What a value of this type costs with these selections: of the types that it may have, the dearest. */
  set(set: SelectionSetNode, type: GraphQLNamedType, place: Place): number {
    const places = this.#places(set)
    const known = knownAt(places.values, place)
    const found = known.get(type)
    if (found !== undefined) return found
    const objects = knownAt(places.objects, place)
    let dearest = 0
    for (const { object, weight } of this.plans.members(type)) {
      const cost = plus(weight, this.#object(set, object, place, objects))
      if (cost > dearest) dearest = cost
    }
    known.set(type, dearest)
    return dearest
  }

  #object(
    set: SelectionSetNode,
    type: GraphQLNamedType,
    place: Place,
    known = knownAt(this.#places(set).objects, place),
  ): number {
    const found = known.get(type)
    if (found !== undefined) return found
    let cost = 0
    for (const node of set.selections) {
      this.#work.step()
      if (isLeftOut(node.directives, this.variables)) continue
      if (node.kind === 'Field') cost = plus(cost, this.field(node, type, place))
      else {
        const fragment = this.#fragmentOf(node, type)
        if (fragment !== undefined) cost = plus(cost, this.#object(fragment, type, place))
      }
    }
    known.set(type, cost)
    return cost
  }

  #places(set: SelectionSetNode): Places {
    let known = this.#known.get(set)
    if (known === undefined) {
      known = { values: new Map(), objects: new Map() }
      this.#known.set(set, known)
    }
    return known
  }

  /** The fields, and the selection sets of fragments, that count for objects of this type. */
  *selected(
    set: SelectionSetNode,
    type: GraphQLNamedType,
  ): IterableIterator<FieldNode | SelectionSetNode> {
    for (const node of set.selections) {
      this.#work.step()
      if (isLeftOut(node.directives, this.variables)) continue
      if (node.kind === 'Field') yield node
      else {
        const fragment = this.#fragmentOf(node, type)
        if (fragment !== undefined) yield fragment
      }
    }
  }

  #fragmentOf(
    node: Exclude<SelectionNode, FieldNode>,
    type: GraphQLNamedType,
  ): SelectionSetNode | undefined {
    const fragment = node.kind === 'InlineFragment' ? node : this.#fragments.get(node.name.value)
    const condition = fragment?.typeCondition?.name.value
    const applies = condition === undefined || this.plans.applies(condition, type)
    return applies ? fragment?.selectionSet : undefined
  }

  field(node: FieldNode, type: GraphQLNamedType, place: Place): number {
    const plan = this.plans.field(type, node.name.value)
    const { own, below } = this.sizes(node, plan, place)
    return plus(this.weight(node, plan), times(own, this.below(node, plan, below)))
  }

  /** What each element of what a field returns costs. */
  below({ selectionSet }: FieldNode, { leafWeight, composite }: FieldPlan, place: Place): number {
    if (selectionSet === undefined || composite === undefined) return leafWeight
    return this.set(selectionSet, composite, place)
  }

  /** How many elements a field returns, and where what is below it is. */
  sizes(
    node: FieldNode,
    plan: FieldPlan,
    { sizing, lists }: Place,
  ): Omit<Sizes, 'below'> & { readonly below: Place } {
    const { own, below } = sizesOf(node, plan, sizing, this.options, this.variables)
    if (lists === ORDINARY && !isAboutSchema(node)) {
      return { own, below: below === undefined ? ROOT : { sizing: below, lists, id: below.id } }
    }
    const around = Math.max(0, lists)
    const deeper = Math.min(PLAIN_LISTS, around + plan.levels)
    return { own: around < PLAIN_LISTS ? 1 : own, below: ABOUT_SCHEMA[deeper] ?? ROOT }
  }

  /** What a field costs itself, whatever it returns. */
  weight(node: FieldNode, plan: FieldPlan): number {
    const isTypeName = node.name.value === '__typename'
    // The clients that ask for it everywhere do so without an alias: it is known without any resolver.
    if (isTypeName && node.alias === undefined) return 0
    const { fieldCost, scalarCost } = this.options
    const weight =
      plan.weight ?? (plan.composite === undefined && !isTypeName ? scalarCost : fieldCost)
    const inputs = plan.costly.length === 0 ? 0 : this.#arguments(node, plan.costly)
    // Weights of arguments may be negative: they make a field cheaper, but no other.
    return plus(Math.max(0, weight + inputs), 0)
  }

  #arguments(node: FieldNode, costly: readonly InputPlan[]): number {
    let sum = 0
    for (const plan of costly) {
      const given = argumentOf(node.arguments, plan.name)
      if (given !== undefined) sum += this.#input(plan, this.#value(given))
    }
    return sum
  }

  #value(node: ValueNode): unknown {
    return readValue(node, this.variables)
  }

  #input({ weight, inputs }: InputPlan, value: unknown): number {
    if (value === ABSENT || value === undefined) return 0
    return weight + (inputs === undefined ? 0 : this.#fields(inputs, value, 0))
  }

  /** What the fields of an input object cost, or of each in a list. */
  #fields(type: GraphQLNamedType, value: unknown, nesting: number): number {
    if (typeof value !== 'object' || value === null || nesting > MAX_INPUT) return 0
    this.#work.step()
    let sum = 0
    if (Array.isArray(value)) {
      for (const one of value) sum += this.#fields(type, one, nesting + 1)
      return sum
    }
    for (const plan of this.plans.inputs(type)) {
      const own = Object.hasOwn(value, plan.name)
        ? (value as Record<string, unknown>)[plan.name]
        : ABSENT
      if (own === ABSENT || own === undefined) continue
      sum +=
        plan.weight + (plan.inputs === undefined ? 0 : this.#fields(plan.inputs, own, nesting + 1))
    }
    return sum
  }
}

/** Longest nesting of input objects that is followed. */
const MAX_INPUT = 200
