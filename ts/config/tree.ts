import { withCode } from '../validate.ts'

/*
 * What a configuration is before it is checked: values that know where in the file they stand.
 */

/** A place in a file, both from 1. In a configuration that is no file there is none. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A value that stands somewhere in a text. */
export interface Scalar {
  readonly kind: 'scalar'
  readonly at: number
  readonly value: string | number | boolean | null
  /** Environment variables that are in it. Then it is a secret: no message shows it. */
  readonly from?: readonly string[] | undefined
  /** What the text also stands for if it is nothing but a variable, where a number, true or false is wanted. */
  readonly plain?: number | boolean | undefined
  /** As the file has it. */
  readonly written?: string | undefined
}

/** Something that only a program can express: a function, a client of ioredis. */
export interface Opaque {
  readonly kind: 'opaque'
  readonly at: number
  readonly value: unknown
}

export interface List {
  readonly kind: 'list'
  readonly at: number
  readonly items: readonly Tree[]
}

export interface Entry {
  /** Where the key stands. */
  readonly at: number
  readonly tree: Tree
}

export interface Mapping {
  readonly kind: 'map'
  readonly at: number
  readonly entries: ReadonlyMap<string, Entry>
}

export type Tree = Scalar | Opaque | List | Mapping

/** What is wrong with a text, and where. */
export class Misplaced extends Error {
  readonly at: number

  constructor(at: number, message: string) {
    super(message)
    this.at = at
  }
}

/** One thing that is wrong with a configuration. */
export interface ConfigProblem {
  /** The file, or `config` for one that is no file. */
  readonly file: string
  /** From 1; `undefined` where there is no line. */
  readonly line: number | undefined
  readonly column: number | undefined
  /** Such as `limiters.api.burst`; empty for the file as a whole. */
  readonly path: string
  /** What is wrong, and what to write. No value of the environment is in it. */
  readonly message: string
  /** All of it in one line: `limits.json:4:7: unknown key "limts" in limiters.api; did you mean limits?`. */
  readonly text: string
}

/** A configuration that is not accepted. */
export class ConfigError extends Error {
  static {
    Object.defineProperty(ConfigError.prototype, 'name', { value: 'ConfigError' })
  }

  readonly code = 'INVALID_CONFIG'
  /** All that is wrong, in the order of the file. */
  readonly errors: readonly ConfigProblem[]

  constructor(errors: readonly ConfigProblem[]) {
    const [first] = errors
    const more = errors.length > 1 ? `\n${errors.slice(1).map(textOf).join('\n')}` : ''
    super(`${first?.text ?? 'the configuration is not accepted'}${more}`)
    this.errors = errors
  }
}

function textOf({ text }: ConfigProblem): string {
  return text
}

/** Makes problems of one file: knows its name and its lines. */
export class Problems {
  readonly found: ConfigProblem[] = []
  readonly #file: string
  readonly #text: string

  constructor(file: string, text: string) {
    this.#file = file
    this.#text = text
  }

  /** The most that are reported: a file of a million mistakes has one cause. */
  get isFull(): boolean {
    return this.found.length >= MAX_PROBLEMS
  }

  add(at: number, path: string, message: string): void {
    if (!this.isFull) this.found.push(this.at(at, path, message))
  }

  at(at: number, path: string, message: string): ConfigProblem {
    const place = at < 0 ? undefined : placeOf(this.#text, at)
    const where = place === undefined ? '' : `:${place.line}:${place.column}`
    const { line, column } = place ?? { line: undefined, column: undefined }
    const text = `${this.#file}${where}: ${message}`
    return { file: this.#file, line, column, path, message, text }
  }
}

const MAX_PROBLEMS = 50

/** The line and the column of a place in a text. A file of Windows has its line ends, too. */
export function placeOf(text: string, at: number): Place {
  let line = 1
  let start = 0
  for (let end = text.indexOf('\n'); end >= 0 && end < at; end = text.indexOf('\n', start)) {
    line++
    start = end + 1
  }
  return { line, column: at - start + 1 }
}

/** A tree as plain data without prototypes, with texts as the file has them: no value of the environment is in it. */
export function writtenOf(tree: Tree): unknown {
  if (tree.kind === 'opaque') return `[${typeof tree.value}]`
  if (tree.kind === 'scalar') return tree.written ?? tree.value
  if (tree.kind === 'list') return tree.items.map(writtenOf)
  return recordOf(tree, writtenOf)
}

function recordOf({ entries }: Mapping, read: (tree: Tree) => unknown): object {
  const record: Record<string, unknown> = Object.create(null)
  for (const [key, { tree }] of entries) record[key] = read(tree)
  return record
}

/** Calls `visit` with each scalar of a tree. */
export function eachScalar(tree: Tree, visit: (scalar: Scalar) => void): void {
  if (tree.kind === 'scalar') visit(tree)
  else if (tree.kind === 'list') for (const item of tree.items) eachScalar(item, visit)
  else if (tree.kind === 'map')
    for (const { tree: inner } of tree.entries.values()) eachScalar(inner, visit)
}

/** The tree of an object that a program has made. */
export function treeOf(value: unknown, depth = 0): Tree {
  const at = -1
  if (depth > MAX_DEPTH)
    throw new Misplaced(at, `values must not be nested deeper than ${MAX_DEPTH}`)
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) {
    return { kind: 'scalar', at, value: value as Scalar['value'] }
  }
  if (Array.isArray(value)) {
    return { kind: 'list', at, items: value.map((item) => treeOf(item, depth + 1)) }
  }
  if (!isPlain(value)) return { kind: 'opaque', at, value }
  const entries = new Map<string, Entry>()
  for (const key of Reflect.ownKeys(value)) {
    if (typeof key !== 'string') {
      throw withCode(
        new TypeError('a configuration must have no symbols as keys'),
        'INVALID_OPTION',
      )
    }
    const inner = (value as Record<string, unknown>)[key]
    // As everywhere: an option that is undefined is left out, but limits that are may be a setting that is missing.
    if (inner === undefined && key !== 'limits') continue
    entries.set(key, { at, tree: treeOf(inner, depth + 1) })
  }
  return { kind: 'map', at, entries }
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** Bounds of a configuration, in every format. */
export const MAX_DEPTH = 16
export const MAX_BYTES = 1_048_576
export const MAX_NODES = 20_000
export const MAX_KEY = 200
export const MAX_TEXT = 8_192

/** What a configuration in a program is called in messages. */
export const IN_PROGRAM = 'config'
