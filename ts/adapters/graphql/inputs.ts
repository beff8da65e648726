import type { FieldNode, GraphQLNamedType } from 'graphql'
import type { Work } from './numbers.ts'
import type { InputPlan, SchemaPlans } from './plans.ts'
import { ABSENT, argumentOf, type Variables } from './values.ts'

/** Longest nesting of input objects that is followed. */
const MAX_INPUT = 200

/** Weighs the arguments of one operation, and the input objects in them. */
export class InputScales {
  readonly #plans: SchemaPlans
  readonly #variables: Variables
  readonly #work: Work

  constructor(plans: SchemaPlans, variables: Variables, work: Work) {
    this.#plans = plans
    this.#variables = variables
    this.#work = work
  }

  /** What the arguments of a field cost that are given. */
  of({ arguments: written }: FieldNode, costly: readonly InputPlan[]): number {
    let sum = 0
    for (const plan of costly) {
      const given = argumentOf(written, plan.name)
      if (given !== undefined) sum += this.#input(plan, this.#variables.read(given))
    }
    return sum
  }

  #input({ weight, inputs }: InputPlan, value: unknown): number {
    if (value === ABSENT || value === undefined) return 0
    return weight + (inputs === undefined ? 0 : this.#fields(inputs, value, 0))
  }

  /** What the fields of an input object cost, or of each in a list. */
  #fields(type: GraphQLNamedType, value: unknown, nesting: number): number {
    // Also for what costs nothing: a list of a million zeros is a million of them.
    this.#work.step()
    if (typeof value !== 'object' || value === null || nesting > MAX_INPUT) return 0
    let sum = 0
    if (Array.isArray(value)) {
      for (const one of value) sum += this.#fields(type, one, nesting + 1)
      return sum
    }
    for (const plan of this.#plans.inputs(type)) {
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
