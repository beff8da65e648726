import type { FieldNode } from 'graphql'
import { printable } from '../../validate.ts'
import { notValid } from './document.ts'
import { bounded, MOST } from './numbers.ts'
import type { FieldPlan } from './plans.ts'
import { ABSENT, argumentOf, type Variables } from './values.ts'

/*
 * How many elements a list is taken to have before it is there.
 */

/** The size that a field passes on to lists directly below it, as a connection's `first` does to its `edges`. */
export interface Sizing {
  readonly size: number
  /** Names, or paths such as `page.items`; `undefined` where the schema says none, and names are known by custom. */
  readonly paths: readonly string[] | undefined
  /** One text for each different sizing. */
  readonly id: string
}

/** What counting sizes needs to know of the options. */
export interface SizeOptions {
  /** Size of a list of which nothing else is known. */
  readonly listSize: number
  /** Arguments that say how many elements to return, where the schema does not say. */
  readonly slicingArguments: readonly string[]
}

export interface Sizes {
  /** How many of what it returns a field is taken to return: 1 for one that returns no list. */
  readonly own: number
  readonly below: Sizing | undefined
}

/** Names of the lists in a connection, by custom. */
const BY_CUSTOM = ['edges', 'nodes', 'items']
/** Of a number that is written as text. */
const MAX_DIGITS = 400
const NONE: Sizes = { own: 1, below: undefined }

/** @throws Error if the schema requires exactly one slicing argument, and there are none or several */
export function sizesOf(
  node: FieldNode,
  plan: FieldPlan,
  from: Sizing | undefined,
  options: SizeOptions,
  variables: Variables,
): Sizes {
  const { levels, listSize: told } = plan
  if (isPlain(plan, from)) return NONE
  const names = told === undefined ? options.slicingArguments : told.slicingArguments
  const given = givenSizes(node, plan, names, variables)
  if (told?.requiresOne && given.length !== 1) throw slicingRequired(node, names)
  const assumed = told?.assumedSize ?? options.listSize
  const sliced =
    given.length === 0 ? undefined : Math.max(...given.map((one) => sizeOf(one, assumed)))
  const below = sizingBelow(node, plan, from, sliced, assumed)
  if (levels === 0) return below === undefined ? NONE : { own: 1, below }
  const isForBelow = told !== undefined && told.sizedFields.length > 0
  const own = isForBelow ? undefined : (sliced ?? told?.assumedSize)
  const first = own ?? inherited(node, from, options.listSize) ?? options.listSize
  return { own: bounded(first * options.listSize ** (levels - 1)), below }
}

/** Most fields: they return no list, and nothing says how long any below them is. */
function isPlain(
  { levels, composite, listSize, defaults }: FieldPlan,
  from: Sizing | undefined,
): boolean {
  if (levels > 0) return false
  if (composite === undefined) return true
  return listSize === undefined && from === undefined && defaults.size === 0
}

/** What the slicing arguments say, of those that are given or have a default. */
function givenSizes(
  node: FieldNode,
  plan: FieldPlan,
  names: readonly string[],
  variables: Variables,
): readonly unknown[] {
  const sizes: unknown[] = []
  for (const path of names) {
    const [name = '', ...rest] = path.includes('.') ? path.split('.') : [path]
    if (!plan.defaults.has(name)) continue
    const at = argumentOf(node.arguments, name)
    const written = at === undefined ? ABSENT : variables.read(at)
    let value = written === ABSENT ? plan.defaults.get(name) : written
    for (const part of rest) value = memberOf(value, part)
    if (value !== ABSENT) sizes.push(value)
  }
  return sizes
}

function memberOf(value: unknown, name: string): unknown {
  const isObject = typeof value === 'object' && value !== null
  return isObject && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : ABSENT
}

/**
 * The size that a value asks for. What is no whole number from 1 on never makes a list smaller than it is assumed to be:
 * who knows what a resolver makes of `first: 0`.
 */
function sizeOf(value: unknown, assumedSize: number): number {
  const assumed = Math.max(1, assumedSize)
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1) return bounded(value)
  // Megabytes of text, read for each of a thousand aliases, would take seconds.
  if (typeof value === 'string' && value.length > MAX_DIGITS) return MOST
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : 0
  if (typeof value === 'bigint')
    return value > BigInt(MOST) ? MOST : Math.max(assumed, Number(value))
  return number > assumed ? bounded(Math.ceil(number)) : assumed
}

function sizingBelow(
  { name }: FieldNode,
  { levels, listSize: told, composite }: FieldPlan,
  from: Sizing | undefined,
  sliced: number | undefined,
  assumed: number,
): Sizing | undefined {
  if (composite === undefined) return undefined
  if (told !== undefined && told.sizedFields.length > 0) {
    return sizing(sliced ?? assumed, told.sizedFields)
  }
  if (told === undefined && levels === 0 && sliced !== undefined) return sizing(sliced, undefined)
  // The rest of a path that goes on below this field.
  const start = `${name.value}.`
  const rest = (from?.paths ?? []).flatMap((path) =>
    path.startsWith(start) ? [path.slice(start.length)] : [],
  )
  return from === undefined || rest.length === 0 ? undefined : sizing(from.size, rest)
}

function sizing(size: number, paths: readonly string[] | undefined): Sizing {
  return { size, paths, id: `${size} ${paths?.join(' ') ?? '*'}` }
}

/** The size that the field above gives to this one. */
function inherited(
  { name }: FieldNode,
  from: Sizing | undefined,
  listSize: number,
): number | undefined {
  if (from === undefined) return undefined
  if (from.paths !== undefined) return from.paths.includes(name.value) ? from.size : undefined
  // Of a list with another name it is not known whether the size is meant for it: it makes it larger only.
  return BY_CUSTOM.includes(name.value) ? from.size : Math.max(from.size, listSize)
}

function slicingRequired(node: FieldNode, names: readonly string[]): Error {
  const field = printable(node.name.value)
  return notValid(`must give field ${field} exactly one of the arguments ${names.join(', ')}`)
}
