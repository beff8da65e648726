import type { Random } from '../fixtures/random.ts'
import type { FieldSpec, SchemaSpec, TypeSpec } from './random-schema.ts'

/*
 * Random queries, as data from which their text is written.
 */

/** A value as the text has it; `variable` names one. */
export interface ArgValue {
  readonly name: string
  readonly text: string
  readonly variable: string | undefined
  readonly value: unknown
}

export interface Condition {
  readonly directive: 'skip' | 'include'
  readonly value: boolean
  readonly variable: string | undefined
}

export type Node =
  | {
      readonly kind: 'field'
      readonly alias: string | undefined
      readonly field: string
      readonly args: readonly ArgValue[]
      readonly below: readonly Node[] | undefined
      readonly condition: Condition | undefined
    }
  | {
      readonly kind: 'inline'
      readonly on: string | undefined
      readonly below: readonly Node[]
      readonly condition: Condition | undefined
    }
  | {
      readonly kind: 'spread'
      readonly fragment: string
      readonly condition: Condition | undefined
    }

export interface QuerySpec {
  readonly nodes: readonly Node[]
  readonly fragments: ReadonlyMap<string, { readonly on: string; readonly nodes: readonly Node[] }>
  /** Values of variables; `undefined` for one that is not given. */
  readonly given: Readonly<Record<string, unknown>>
  readonly defaults: Readonly<Record<string, number>>
}

/** @param once whether every response key and every fragment is used once, so that each field runs for itself */
export class QueryMaker {
  readonly #random: Random
  readonly #schema: SchemaSpec
  readonly #once: boolean
  readonly #fragments = new Map<string, { on: string; nodes: readonly Node[] }>()
  readonly #given: Record<string, unknown> = {}
  readonly #defaults: Record<string, number> = {}
  #count = 0
  readonly #isNamed: boolean
  #left = 40

  /** @param isNamed whether `__typename` is asked for wherever an object may have several types */
  constructor(random: Random, schema: SchemaSpec, once: boolean, isNamed = once) {
    this.#isNamed = isNamed
    this.#random = random
    this.#schema = schema
    this.#once = once
  }

  make(): QuerySpec {
    const nodes = this.#nodes('Query', 0)
    return { nodes, fragments: this.#fragments, given: this.#given, defaults: this.#defaults }
  }

  #nodes(type: string, depth: number): readonly Node[] {
    const nodes = Array.from({ length: this.#random.integer(1, 3) }, () => this.#node(type, depth))
    const { kind } = this.#type(type)
    // By which the model and ours know of what type an object is.
    const named: Node[] =
      this.#isNamed && kind !== 'object' ? [this.#field('__typename', undefined, undefined)] : []
    return [...named, ...nodes]
  }

  #node(type: string, depth: number): Node {
    const random = this.#random
    if (depth < 6 && random.chance(0.2)) {
      const on = random.chance(0.2) ? undefined : this.#condition(type)
      return {
        kind: 'inline',
        on,
        below: this.#nodes(on ?? type, depth + 1),
        condition: this.#leftOut(),
      }
    }
    if (depth < 6 && random.chance(0.2)) {
      const known = [...this.#fragments].filter(([, { on }]) => this.#meet(on, type))
      if (!this.#once && known.length > 0 && random.chance(0.6)) {
        return { kind: 'spread', fragment: random.pick(known)[0], condition: this.#leftOut() }
      }
      const on = this.#condition(type)
      const nodes = this.#nodes(on, depth + 1)
      const name = `F${this.#fragments.size}`
      this.#fragments.set(name, { on, nodes })
      return { kind: 'spread', fragment: name, condition: this.#leftOut() }
    }
    const { fields, kind } = this.#type(type)
    if (kind === 'union' || this.#left-- <= 0 || random.chance(0.05))
      return this.#field('__typename', undefined, undefined)
    const spec = random.pick(
      depth > 4 ? fields.filter((one) => one.returns === 'Int').concat(fields.slice(-1)) : fields,
    )
    if (spec.returns === 'Int') return this.#field(spec.name, spec, undefined)
    return this.#field(
      spec.name,
      spec,
      depth > 5
        ? [this.#field('__typename', undefined, undefined)]
        : this.#nodes(spec.returns, depth + 1),
    )
  }

  #type(name: string): TypeSpec {
    return this.#schema.types.get(name) as TypeSpec
  }

  /** A type whose fragments may apply to objects of another. */
  #condition(type: string): string {
    const { members, kind } = this.#type(type)
    const around = [...this.#schema.types.values()]
      .filter((one) => one.members.includes(type))
      .map(({ name }) => name)
    return this.#random.pick([type, ...(kind === 'object' ? around : members)])
  }

  #meet(one: string, other: string): boolean {
    const objects = (name: string): readonly string[] =>
      this.#type(name).kind === 'object' ? [name] : this.#type(name).members
    return objects(one).some((name) => objects(other).includes(name))
  }

  #field(field: string, spec: FieldSpec | undefined, below: readonly Node[] | undefined): Node {
    const random = this.#random
    const isPlain = spec === undefined && (this.#once || random.chance(0.7))
    const alias = !isPlain && (this.#once || random.chance(0.3)) ? `a${this.#count++}` : undefined
    const args = (spec?.args ?? [])
      .filter(() => random.chance(0.7))
      .map(({ name, type }) => this.#arg(name, type))
    return {
      kind: 'field',
      alias,
      field,
      args,
      below,
      condition: spec === undefined ? undefined : this.#leftOut(),
    }
  }

  #leftOut(): Condition | undefined {
    const random = this.#random
    if (!random.chance(0.1)) return undefined
    const value = random.chance(0.5)
    const directive = random.pick(['skip', 'include'] as const)
    if (random.chance(0.5)) return { directive, value, variable: undefined }
    const variable = `c${this.#count++}`
    this.#given[variable] = value
    return { directive, value, variable }
  }

  #arg(name: string, type: string): ArgValue {
    const random = this.#random
    if (type === 'In') return this.#input(name)
    const value = random.pick<unknown>([1, 2, 3, 7, 20, 0, -1, -1000, null, 1, 2, 3])
    if (random.chance(0.5)) return { name, text: String(value), variable: undefined, value }
    const variable = `v${this.#count++}`
    if (random.chance(0.3)) this.#defaults[variable] = random.integer(1, 9)
    if (random.chance(0.8)) this.#given[variable] = value
    return { name, text: `$${variable}`, variable, value: this.#valueOf(variable) }
  }

  /** `undefined` for one that has none. */
  #valueOf(variable: string): unknown {
    return Object.hasOwn(this.#given, variable) ? this.#given[variable] : this.#defaults[variable]
  }

  #input(name: string): ArgValue {
    const random = this.#random
    const make = (depth: number): object => {
      const made: { [name: string]: unknown; more?: object[] } = {}
      for (const key of ['n', 'm']) if (random.chance(0.5)) made[key] = random.integer(0, 9)
      if (depth < 2 && random.chance(0.4))
        made.more = Array.from({ length: random.integer(0, 2) }, () => make(depth + 1))
      return made
    }
    const value = make(0)
    if (random.chance(0.5)) return { name, text: literal(value), variable: undefined, value }
    const variable = `o${this.#count++}`
    this.#given[variable] = value
    return { name, text: `$${variable}`, variable, value }
  }
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  return `{${Object.entries(value)
    .map(([name, one]) => `${name}: ${literal(one)}`)
    .join(', ')}}`
}

/** The text of a query. */
export function queryText({ nodes, fragments, given, defaults }: QuerySpec): string {
  const condition = (one: Condition | undefined): string =>
    one === undefined
      ? ''
      : ` @${one.directive}(if: ${one.variable === undefined ? one.value : `$${one.variable}`})`
  const set = (all: readonly Node[]): string => `{ ${all.map(node).join(' ')} }`
  const used = new Set<string>()
  const node = (one: Node): string => {
    if (one.condition?.variable !== undefined) used.add(one.condition.variable)
    if (one.kind === 'spread') return `...${one.fragment}${condition(one.condition)}`
    if (one.kind === 'inline')
      return `...${one.on === undefined ? '' : ` on ${one.on}`}${condition(one.condition)} ${set(one.below)}`
    for (const { variable } of one.args) if (variable !== undefined) used.add(variable)
    const args =
      one.args.length === 0
        ? ''
        : `(${one.args.map(({ name, text }) => `${name}: ${text}`).join(', ')})`
    return `${one.alias === undefined ? '' : `${one.alias}: `}${one.field}${args}${condition(one.condition)}${one.below === undefined ? '' : ` ${set(one.below)}`}`
  }
  const body = set(nodes)
  const rest = [...fragments]
    .map(([name, { on, nodes }]) => `fragment ${name} on ${on} ${set(nodes)}`)
    .join('\n')
  const types: Record<string, string> = { c: 'Boolean!', v: 'Int', o: 'In' }
  const variables = [...used].map(
    (name) =>
      `$${name}: ${types[name[0] as string]}${Object.hasOwn(defaults, name) ? ` = ${defaults[name]}` : ''}`,
  )
  void given
  return `query${variables.length === 0 ? '' : ` (${variables.join(', ')})`} ${body}\n${rest}`
}
