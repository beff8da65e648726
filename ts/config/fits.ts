import { foreignOption } from '../foreign-options.ts'
import { closestTo, printable } from '../validate.ts'
import { inWords, type ListShape, type NumberShape, type ObjectShape, type Shape } from './shape.ts'
import type { Mapping, Problems, Scalar, Tree } from './tree.ts'

/** A value that was read; `undefined` for one that is not right. */
export type Read = { readonly value: unknown } | undefined

/** Reads a tree that must have a shape, as plain data without prototypes. Reports where it has not. */
export function readShape(tree: Tree, shape: Shape, path: string, problems: Problems): Read {
  if (shape.kind === 'any') {
    const fitting = shape.of.find((one) => isOfKind(tree, one))
    if (fitting !== undefined) return readShape(tree, fitting, path, problems)
  } else if (shape.kind === 'object') {
    if (tree.kind === 'map') return readObject(tree, shape, path, problems)
  } else if (shape.kind === 'list') {
    if (tree.kind === 'list' && isLengthOf(tree.items.length, shape)) {
      return readList(tree.items, shape, path, problems)
    }
  } else {
    const value = scalarOf(tree, shape)
    if (value !== undefined) return { value }
  }
  const accepted = shape.kind === 'object' ? 'an object' : inWords(shape)
  problems.add(tree.at, path, `${path} must be ${accepted}, got ${shown(tree)}`)
  return undefined
}

function readList(
  items: readonly Tree[],
  { of }: ListShape,
  path: string,
  problems: Problems,
): Read {
  const all = items.map((item, i) => readShape(item, of, `${path}[${i}]`, problems))
  return all.includes(undefined) ? undefined : { value: all.map((one) => one?.value) }
}

function readObject(tree: Mapping, shape: ObjectShape, path: string, problems: Problems): Read {
  let isRight = knownOnly(tree, Object.keys(shape.keys), path, problems)
  const value: Record<string, unknown> = Object.create(null)
  for (const [key, entry] of tree.entries) {
    const inner = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined
    if (inner === undefined) continue
    const read = readShape(entry.tree, inner, `${path}.${key}`, problems)
    if (read === undefined) isRight = false
    else value[key] = read.value
  }
  for (const key of shape.required) {
    if (tree.entries.has(key)) continue
    problems.add(tree.at, path, `${path} must have the key ${key}`)
    isRight = false
  }
  const { oneOf } = shape
  if (oneOf !== undefined && !oneOf.some((key) => tree.entries.has(key))) {
    problems.add(tree.at, path, `${path} must have the key ${oneOf.join(' or ')}`)
    isRight = false
  }
  return isRight ? { value } : undefined
}

/** Reports the keys that are not known, each with what it may have been meant to be. */
export function knownOnly(
  { entries }: Mapping,
  known: readonly string[],
  path: string,
  problems: Problems,
  others: readonly string[] = [],
): boolean {
  let isRight = true
  for (const [key, { at }] of entries) {
    if (known.includes(key) || others.includes(key)) continue
    isRight = false
    const where = path === '' ? '' : ` in ${path}`
    problems.add(at, joined(path, key), `unknown key ${printable(key)}${where}${hint(key, known)}`)
  }
  return isRight
}

function hint(key: string, known: readonly string[]): string {
  if (key === '__proto__') return ': it is no key of a configuration in any place'
  const closest = closestTo(key, known)
  if (closest !== undefined) return `; did you mean ${closest}?`
  const foreign = foreignOption(key)
  if (foreign !== undefined) return `: ${foreign}`
  return `; known are ${[...known].sort().join(', ')}`
}

/** A path, with a key that the user has chosen. */
export function joined(path: string, key: string): string {
  const shownKey = /^[\w$*/: .-]{1,64}$/.test(key) ? key : printable(key)
  return path === '' ? shownKey : `${path}.${shownKey}`
}

/** Whether the right shape among several is this one: then its own message says what is wrong inside. */
function isOfKind(tree: Tree, shape: Shape): boolean {
  if (shape.kind === 'object') return tree.kind === 'map'
  if (shape.kind === 'list') return tree.kind === 'list'
  return scalarOf(tree, shape) !== undefined
}

function isLengthOf(length: number, { min, max }: ListShape): boolean {
  return length >= min && length <= max
}

/** A variable of the environment is a number where one is accepted, and a text where not. */
function scalarOf(tree: Tree, shape: Shape): string | number | boolean | null | undefined {
  if (tree.kind !== 'scalar') return undefined
  const { plain, value } = tree
  if (plain !== undefined && isScalarOf(plain, shape)) return plain
  return isScalarOf(value, shape) ? value : undefined
}

function isScalarOf(value: Scalar['value'], shape: Shape): boolean {
  switch (shape.kind) {
    case 'text':
      return (
        typeof value === 'string' &&
        value.length >= shape.min &&
        value.length <= shape.max &&
        value.isWellFormed()
      )
    case 'number':
      return typeof value === 'number' && isNumberOf(value, shape)
    case 'boolean':
      return typeof value === 'boolean' && (shape.only === undefined || value === shape.only)
    case 'words':
      return typeof value === 'string' && shape.words.includes(value)
    default:
      return false
  }
}

function isNumberOf(value: number, { isInteger, isAbove, min, max }: NumberShape): boolean {
  if (isInteger && !Number.isSafeInteger(value)) return false
  return (isAbove === true ? value > min : value >= min) && value <= max
}

/** A value for a message: never one that comes from the environment. */
export function shown(tree: Tree): string {
  if (tree.kind === 'scalar') {
    return tree.from === undefined ? printable(tree.value) : `what ${namesOf(tree.from)} says`
  }
  if (tree.kind === 'opaque') return printable(tree.value)
  return tree.kind === 'list' ? `a list of ${tree.items.length}` : 'an object'
}

/** Variables, as a file names them. */
export function namesOf(from: readonly string[]): string {
  return from.map((name) => `\${${name}}`).join(' and ')
}
