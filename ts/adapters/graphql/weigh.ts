import type { FieldNode, GraphQLNamedType, SelectionNode, SelectionSetNode } from 'graphql'
import { type Definitions, isAboutSchema, MAX_NESTING, notValid } from './document.ts'
import { InputScales } from './inputs.ts'
import { type SizeOptions, type Sizes, type Sizing, sizesOf } from './list-sizes.ts'
import { MemberCosts } from './member-costs.ts'
import { plus, times, type Work } from './numbers.ts'
import type { FieldPlan, Member, SchemaPlans } from './plans.ts'
import { isLeftOut, type Variables } from './values.ts'

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

/** Arguments that are looked through in the time of one step. */
const ARGUMENTS_A_STEP = 8

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

type ByType<Cost = number> = Map<GraphQLNamedType, Cost>

/** What is known of a selection set, by place: of values of a type, of its members, and of objects of a type. */
interface Places {
  readonly values: Map<string, ByType>
  readonly members: Map<string, ByType<MemberCosts>>
  readonly objects: Map<string, ByType>
}

function knownAt<Cost>(places: Map<string, ByType<Cost>>, { id }: Place): ByType<Cost> {
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
  readonly #inputs: InputScales
  readonly #known = new Map<SelectionSetNode, Places>()
  #nesting = 0

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
    this.#inputs = new InputScales(plans, variables, work)
  }

  /** What a value of this type costs with these selections: of the types that it may have, the dearest. */
  set(set: SelectionSetNode, type: GraphQLNamedType, place: Place): number {
    const places = this.#places(set)
    const known = knownAt(places.values, place)
    const found = known.get(type)
    if (found !== undefined) return found
    const members = this.plans.members(type)
    const [only] = members
    const cost =
      only !== undefined && members.length === 1
        ? plus(only.weight, this.#object(set, only.object, place))
        : this.#dearest(members, this.#members(set, type, place))
    known.set(type, cost)
    return cost
  }

  #dearest(members: readonly Member[], costs: MemberCosts): number {
    let dearest = 0
    for (let i = 0; i < members.length; i++) {
      const cost = plus(members[i]?.weight ?? 0, costs.of(i))
      if (cost > dearest) dearest = cost
    }
    return dearest
  }

  /** Counts once what costs the same for all types. */
  #members(set: SelectionSetNode, type: GraphQLNamedType, place: Place): MemberCosts {
    const known = knownAt(this.#places(set).members, place)
    const found = known.get(type)
    if (found !== undefined) return found
    const costs = new MemberCosts(this.plans.members(type).length, this.#work)
    this.#enter()
    for (const node of set.selections) {
      this.#work.step()
      if (isLeftOut(node.directives, this.variables)) continue
      if (node.kind === 'Field') this.#fieldOfMembers(costs, node, type, place)
      else this.#fragmentOfMembers(costs, node, type, place)
    }
    this.#nesting--
    known.set(type, costs)
    return costs
  }

  #fragmentOfMembers(
    costs: MemberCosts,
    node: Exclude<SelectionNode, FieldNode>,
    type: GraphQLNamedType,
    place: Place,
  ): void {
    const { set, condition } = this.#fragment(node)
    if (set === undefined) return
    const among = condition === undefined ? undefined : this.plans.among(type, condition)
    if (among === undefined) costs.add(this.#members(set, type, place))
    for (const { object, at } of among ?? []) costs.addTo(at, this.#object(set, object, place))
  }

  #fieldOfMembers(costs: MemberCosts, node: FieldNode, type: GraphQLNamedType, place: Place): void {
    const variants = this.plans.variants(type, node.name.value)
    if (variants === undefined) {
      for (const [i, { object }] of this.plans.members(type).entries()) {
        this.#work.step()
        costs.addTo(i, this.field(node, object, place))
      }
      return
    }
    const each = variants.plans.map((plan) => {
      this.#work.step()
      return this.#planned(node, plan, place)
    })
    const [cost = 0] = each
    if (each.length === 1) costs.addToAll(cost)
    else costs.addToEach((at) => each[variants.of[at] ?? 0] ?? 0)
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
    this.#enter()
    for (const node of set.selections) {
      this.#work.step()
      if (isLeftOut(node.directives, this.variables)) continue
      if (node.kind === 'Field') cost = plus(cost, this.field(node, type, place))
      else {
        const fragment = this.#fragmentOf(node, type)
        if (fragment !== undefined) cost = plus(cost, this.#object(fragment, type, place))
      }
    }
    this.#nesting--
    known.set(type, cost)
    return cost
  }

  /** The depth of a document does not say it: fragments that are known by one type are followed again for another. */
  #enter(): void {
    if (++this.#nesting > MAX_NESTING) throw notValid(`nests more than ${MAX_NESTING} levels`)
  }

  #places(set: SelectionSetNode): Places {
    let known = this.#known.get(set)
    if (known === undefined) {
      known = { values: new Map(), members: new Map(), objects: new Map() }
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
    const { set, condition } = this.#fragment(node)
    return condition === undefined || this.plans.applies(condition, type) ? set : undefined
  }

  #fragment(node: Exclude<SelectionNode, FieldNode>): {
    readonly set: SelectionSetNode | undefined
    readonly condition: string | undefined
  } {
    const fragment = node.kind === 'InlineFragment' ? node : this.#fragments.get(node.name.value)
    return { set: fragment?.selectionSet, condition: fragment?.typeCondition?.name.value }
  }

  field(node: FieldNode, type: GraphQLNamedType, place: Place): number {
    return this.#planned(node, this.plans.field(type, node.name.value), place)
  }

  #planned(node: FieldNode, plan: FieldPlan, place: Place): number {
    this.#work.step((node.arguments?.length ?? 0) / ARGUMENTS_A_STEP)
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
    const inputs = plan.costly.length === 0 ? 0 : this.#inputs.of(node, plan.costly)
    // Weights of arguments may be negative: they make a field cheaper, but no other.
    return plus(Math.max(0, weight + inputs), 0)
  }
}
