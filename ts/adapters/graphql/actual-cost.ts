import type {
  FieldNode,
  GraphQLNamedType,
  OperationDefinitionNode,
  SelectionSetNode,
} from 'graphql'
import { plus, times, type Work } from './numbers.ts'
import type { FieldPlan, Member } from './plans.ts'
import { type Place, ROOT, type Scales } from './weigh.ts'

/*
 * What an operation did cost: counted as beforehand, with the lengths of the lists that were returned, and nothing
 * below what was null.
 */

type Path = string
type Fields = Readonly<Record<string, unknown>>

/** What was asked for at one place of a result. */
interface Asked {
  /** Lists around it. */
  readonly levels: number
  /** How many elements it was taken to have. */
  readonly size: number
  /** What each of them was taken to cost. */
  readonly each: () => number
  /** What one that is there costs. */
  readonly count: (value: Fields, path: Path) => number
}

/** Counts one result. */
export class ActualCost {
  readonly #scales: Scales
  readonly #work: Work
  /** Where something below failed: a null there says nothing about what ran. */
  readonly #failedBelow = new Set<Path>()
  readonly #hasErrors: boolean

  constructor(
    scales: Scales,
    errors: readonly { readonly path?: readonly (string | number)[] | undefined }[],
    work: Work,
  ) {
    this.#scales = scales
    this.#work = work
    this.#hasErrors = errors.length > 0
    for (const { path = [] } of errors) {
      let at = ''
      for (const part of path) {
        work.step()
        this.#failedBelow.add(at)
        at = joined(at, part)
      }
    }
  }

  of({ selectionSet }: OperationDefinitionNode, root: GraphQLNamedType, data: unknown): number {
    const whole = {
      levels: 0,
      size: 1,
      each: () => this.#scales.set(selectionSet, root, ROOT),
      count: (object: Fields, path: Path) => this.#set(selectionSet, root, ROOT, object, path),
    }
    return this.#value(data, '', whole)
  }

  #value(value: unknown, path: Path, asked: Asked): number {
    this.#work.step()
    const { levels, size, each, count } = asked
    if (value === null || value === undefined) {
      // A later part of the answer, or lost to an error below: whatever was asked for may have run.
      const mayHaveRun = value === undefined ? path !== '' : this.#failedBelow.has(path)
      return mayHaveRun ? times(size, each()) : 0
    }
    if (!Array.isArray(value)) return count(value as Fields, path)
    const { listSize } = this.#scales.options
    const inner = { ...asked, levels: levels - 1, size: listSize ** Math.max(0, levels - 1) }
    let sum = 0
    for (let i = 0; i < value.length; i++) {
      sum = plus(sum, this.#value(value[i], this.#path(path, i), inner))
    }
    return sum
  }

  #path(path: Path, part: string | number): Path {
    return this.#hasErrors ? joined(path, part) : '.'
  }

  /** An object: of the types that it may have, the dearest. */
  #set(
    set: SelectionSetNode,
    type: GraphQLNamedType,
    place: Place,
    data: Fields,
    path: Path,
  ): number {
    const { plans } = this.#scales
    const members = plans.members(type)
    const isKnown = members.length === 1
    const name = isKnown ? undefined : this.#typeName(set, members, data)
    let dearest: number | undefined
    for (const { object, weight } of members) {
      const fits =
        name === undefined ? isKnown || this.#fits(set, object, data) : object.name === name
      if (!fits) continue
      const cost = plus(weight, this.#object(set, object, place, data, path))
      if (dearest === undefined || cost > dearest) dearest = cost
    }
    return dearest ?? this.#scales.set(set, type, place)
  }

  /** What `__typename` says, unless the client has given another field that name. */
  #typeName(set: SelectionSetNode, members: readonly Member[], data: Fields): string | undefined {
    const { __typename: name } = data
    if (typeof name !== 'string' || !members.some(({ object }) => object.name === name))
      return undefined
    const isForged = members.some(({ object }) => this.#renames(set, object))
    return isForged ? undefined : name
  }

  #renames(set: SelectionSetNode, type: GraphQLNamedType): boolean {
    for (const node of this.#scales.selected(set, type)) {
      const isSet = node.kind === 'SelectionSet'
      if (isSet ? this.#renames(node, type) : isRenamed(node)) return true
    }
    return false
  }

  /** Whether all that is asked of objects of this type is there. */
  #fits(set: SelectionSetNode, type: GraphQLNamedType, data: Fields): boolean {
    for (const node of this.#scales.selected(set, type)) {
      const isThere =
        node.kind === 'Field' ? Object.hasOwn(data, keyOf(node)) : this.#fits(node, type, data)
      if (!isThere) return false
    }
    return true
  }

  #object(
    set: SelectionSetNode,
    type: GraphQLNamedType,
    ...at: readonly [place: Place, data: Fields, path: Path]
  ): number {
    let sum = 0
    for (const node of this.#scales.selected(set, type)) {
      const cost =
        node.kind === 'Field' ? this.#field(node, type, ...at) : this.#object(node, type, ...at)
      sum = plus(sum, cost)
    }
    return sum
  }

  #field(node: FieldNode, type: GraphQLNamedType, place: Place, data: Fields, path: Path): number {
    const scales = this.#scales
    const plan = scales.plans.field(type, node.name.value)
    const weight = scales.weight(node, plan)
    const key = keyOf(node)
    const value = Object.hasOwn(data, key) ? data[key] : undefined
    if (plan.composite === undefined && plan.leafWeight === 0) return weight
    const { own, below } = scales.sizes(node, plan, place)
    // What a schema says about itself costs the same, however much it is.
    if (below.lists >= 0) return plus(weight, times(own, scales.below(node, plan, below)))
    const each = (): number => scales.below(node, plan, below)
    const count = (object: Fields, at: Path): number => this.#element(node, plan, below, object, at)
    const asked = { levels: plan.levels, size: own, each, count }
    return plus(weight, this.#value(value, this.#path(path, key), asked))
  }

  #element(
    { selectionSet }: FieldNode,
    { composite, leafWeight }: FieldPlan,
    place: Place,
    data: Fields,
    path: Path,
  ): number {
    const isBelow = selectionSet !== undefined && composite !== undefined
    if (!isBelow || typeof data !== 'object') return leafWeight
    return this.#set(selectionSet, composite, place, data, path)
  }
}

function keyOf({ alias, name }: FieldNode): string {
  return (alias ?? name).value
}

function isRenamed(node: FieldNode): boolean {
  return keyOf(node) === '__typename' && node.name.value !== '__typename'
}

function joined(path: Path, part: string | number): Path {
  // A length before each part, so that no name can look like two.
  const text = String(part)
  return `${path}.${text.length}:${text}`
}
