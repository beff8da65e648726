import type { Random } from '../fixtures/random.ts'

/*
 * Random schemas, as data from which their text is written. The slow model reads the data, ours the text.
 */

export interface ArgSpec {
  readonly name: string
  readonly type: string
  readonly weight: number | undefined
  readonly fallback: number | undefined
}

export interface FieldSpec {
  readonly name: string
  /** A type of the schema, or `Int`. */
  readonly returns: string
  /** How many lists are around it. */
  readonly lists: number
  readonly weight: number | undefined
  readonly args: readonly ArgSpec[]
  readonly assumed: number | undefined
  readonly slicing: readonly string[] | undefined
  readonly sized: readonly string[] | undefined
}

export interface TypeSpec {
  readonly name: string
  readonly kind: 'object' | 'interface' | 'union'
  readonly weight: number | undefined
  /** Empty for a union. */
  readonly fields: readonly FieldSpec[]
  /** Of an interface or a union. */
  readonly members: readonly string[]
}

export interface SchemaSpec {
  readonly types: ReadonlyMap<string, TypeSpec>
  /** Weights of the fields of the one input type, `n` and `m`. */
  readonly inputs: { readonly n: number | undefined; readonly m: number | undefined }
}

const OBJECTS = ['Query', 'A', 'B', 'C', 'D']
const ABSTRACT = ['I', 'J', 'U']

export function randomSchema(random: Random): SchemaSpec {
  const weight = (likelihood: number): number | undefined =>
    random.chance(likelihood) ? random.integer(0, 12) / 2 : undefined
  const shared: Record<string, FieldSpec[]> = { I: [], J: [] }
  const field = (name: string): FieldSpec => randomField(random, name, weight)
  for (const name of ['I', 'J']) {
    shared[name] = Array.from({ length: random.integer(1, 2) }, (_, i) =>
      field(`${name}${i}`.toLowerCase()),
    )
  }
  const types = new Map<string, TypeSpec>()
  const members: Record<string, string[]> = { I: [], J: [], U: ['A', 'B'] }
  for (const name of OBJECTS) {
    const inherited = name === 'Query' ? [] : ['I', 'J'].filter(() => random.chance(0.5))
    for (const one of inherited) members[one]?.push(name)
    const own = Array.from({ length: random.integer(2, 4) }, (_, i) => field(`f${i}`))
    // The same field, with a weight of its own or with that of the interface.
    const again = inherited
      .flatMap((one) => shared[one] ?? [])
      .map((spec) => {
        if (random.chance(0.5))
          return {
            ...spec,
            weight: undefined,
            assumed: undefined,
            slicing: undefined,
            sized: undefined,
            inherits: spec,
          }
        return { ...spec, weight: weight(0.7) ?? 1 }
      })
    const leaf = { ...field('leaf'), returns: 'Int', lists: 0 }
    types.set(name, {
      name,
      kind: 'object',
      weight: weight(0.2),
      fields: [...own, ...again, leaf],
      members: [],
    })
  }
  for (const name of ABSTRACT) {
    const kind = name === 'U' ? 'union' : 'interface'
    // An interface without an object that has it is no use to a query.
    const of = (members[name] ?? []).length === 0 ? [] : (members[name] ?? [])
    types.set(name, { name, kind, weight: weight(0.2), fields: shared[name] ?? [], members: of })
  }
  return { types, inputs: { n: weight(0.6), m: random.chance(0.3) ? -1 : weight(0.3) } }
}

function randomField(
  random: Random,
  name: string,
  weight: (likelihood: number) => number | undefined,
): FieldSpec {
  const returns = random.chance(0.3) ? 'Int' : random.pick([...OBJECTS.slice(1), ...ABSTRACT])
  const lists = random.chance(0.5) ? (random.chance(0.15) ? 2 : 1) : 0
  const names = ['first', 'last', 'limit', 'take', 'count'].filter(() => random.chance(0.3))
  const args: ArgSpec[] = names.map((one) => ({
    name: one,
    type: 'Int',
    weight: weight(0.1),
    fallback: random.chance(0.15) ? random.integer(1, 5) : undefined,
  }))
  if (random.chance(0.3))
    args.push({ name: 'by', type: 'In', weight: weight(0.5), fallback: undefined })
  const isTold = random.chance(0.4)
  return {
    name,
    returns,
    lists,
    weight: weight(0.3),
    args,
    assumed: isTold && random.chance(0.6) ? random.integer(0, 6) : undefined,
    slicing: isTold && random.chance(0.6) ? names : undefined,
    sized: isTold && lists === 0 && random.chance(0.5) ? ['f0', 'i0'] : undefined,
  }
}

/** The text of a schema. */
export function textOf({ types, inputs }: SchemaSpec): string {
  const cost = (weight: number | undefined): string =>
    weight === undefined ? '' : ` @cost(weight: "${weight}")`
  const field = (spec: FieldSpec): string => {
    const args = spec.args.map(
      ({ name, type, weight, fallback }) =>
        `${name}: ${type}${fallback === undefined ? '' : ` = ${fallback}`}${cost(weight)}`,
    )
    const told = [
      spec.assumed === undefined ? '' : `assumedSize: ${spec.assumed}`,
      spec.slicing === undefined ? '' : `slicingArguments: ${JSON.stringify(spec.slicing)}`,
      spec.sized === undefined ? '' : `sizedFields: ${JSON.stringify(spec.sized)}`,
    ].filter((part) => part !== '')
    const type = '['.repeat(spec.lists) + spec.returns + ']'.repeat(spec.lists)
    const size = told.length === 0 ? '' : ` @listSize(${told.join(', ')})`
    return `${spec.name}${args.length === 0 ? '' : `(${args.join(', ')})`}: ${type}${cost(spec.weight)}${size}`
  }
  const all = [...types.values()]
  const lines = all.map(({ name, kind, weight, fields, members }) => {
    if (kind === 'union') return `union ${name}${cost(weight)} = ${members.join(' | ')}`
    const has = all.filter((one) => one.kind === 'interface' && one.members.includes(name))
    const inherits = has.length === 0 ? '' : ` implements ${has.map((one) => one.name).join(' & ')}`
    const word = kind === 'object' ? 'type' : 'interface'
    return `${word} ${name}${inherits}${cost(weight)} { ${fields.map(field).join(' ')} }`
  })
  return [
    'directive @cost(weight: String!) on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | OBJECT | INTERFACE | UNION',
    'directive @listSize(assumedSize: Int, slicingArguments: [String!], sizedFields: [String!]) on FIELD_DEFINITION',
    `input In { n: Int${cost(inputs.n)} m: Int${cost(inputs.m)} more: [In] }`,
    ...lines,
  ].join('\n')
}
