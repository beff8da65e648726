import type { GraphQLNamedType } from 'graphql'
import type { FieldPlan, InputPlan, Member } from './plans.ts'

/*
 * A field of an interface, as the types that implement it have it: most of them have it alike, and what it costs is
 * then counted once for all of them.
 */

/** The different plans that a field has in the types of an interface. */
export interface Variants {
  readonly plans: readonly FieldPlan[]
  /** Which of them each type has, in the order of the types. */
  readonly of: readonly number[]
}

/** Beyond this number of plans, another is taken to be different: a schema of any size is read in linear time. */
const COMPARED = 16

export function variantsOf(
  members: readonly Member[],
  planOf: (type: GraphQLNamedType) => FieldPlan,
): Variants {
  const plans: FieldPlan[] = []
  const of = members.map(({ object }) => {
    const plan = planOf(object)
    const known = plans.slice(0, COMPARED).findIndex((one) => isSame(one, plan))
    return known >= 0 ? known : plans.push(plan) - 1
  })
  return { plans, of }
}

function isSame(one: FieldPlan, other: FieldPlan): boolean {
  return (
    one.weight === other.weight &&
    one.leafWeight === other.leafWeight &&
    one.levels === other.levels &&
    one.composite === other.composite &&
    JSON.stringify(one.listSize) === JSON.stringify(other.listSize) &&
    isSameCost(one.costly, other.costly) &&
    haveSameValues(one.defaults, other.defaults)
  )
}

function isSameCost(some: readonly InputPlan[], others: readonly InputPlan[]): boolean {
  return (
    some.length === others.length &&
    some.every(({ name, weight, inputs }, i) => {
      const other = others[i]
      return name === other?.name && weight === other.weight && inputs === other.inputs
    })
  )
}

function haveSameValues(
  some: ReadonlyMap<string, unknown>,
  others: ReadonlyMap<string, unknown>,
): boolean {
  if (some.size !== others.size) return false
  return [...some].every(([name, value]) => others.has(name) && others.get(name) === value)
}
