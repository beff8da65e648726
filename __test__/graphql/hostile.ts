import type { Random } from '../fixtures/random.ts'

/*
 * Documents of a client that wants a server to work hard. All are made for this schema.
 */

const TYPES = 60

/** An interface of many types, which each have lists of it. */
export const HOSTILE_SCHEMA = [
  'directive @cost(weight: String!) on ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION',
  'type Query { node: Node nodes(first: Int, by: By): [Node] any: Any a: A leaf(text: String): Int }',
  'interface Node { id: ID node: Node nodes(first: Int): [Node] any: Any }',
  `union Any = ${Array.from({ length: TYPES }, (_, i) => `T${i}`).join(' | ')}`,
  'type A { a: A leaf: Int list(first: Int): [A] }',
  'input By { n: Int @cost(weight: "1") and: [By] }',
  ...Array.from(
    { length: TYPES },
    (_, i) =>
      `type T${i} implements Node { id: ID node: Node nodes(first: Int): [Node] any: Any own${i}: Int }`,
  ),
].join('\n')

/** A document, and what comes with it. */
export interface Hostile {
  readonly kind: string
  readonly text: string
  readonly variables?: Readonly<Record<string, unknown>>
}

const times = (count: number, make: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => make(i)).join(' ')

const nested = (depth: number, field: string): string =>
  `{ ${`${field} { `.repeat(depth)}__typename ${'} '.repeat(depth)}}`

/** Fragments of which each has the next in it, as often as `body` writes it. */
function chain(length: number, type: string, body: (next: string) => string, last: string): string {
  const count = Math.floor(length)
  const all = times(count, (i) => `fragment F${i} on ${type} { ${body(`F${i + 1}`)} }`)
  return `${all} fragment F${count} on ${type} { ${last} }`
}

/** Each makes a document of about `size` tokens. */
const KINDS: Readonly<Record<string, (size: number, random: Random) => Omit<Hostile, 'kind'>>> = {
  aliases: (size) => ({ text: `{ ${times(size / 3, (i) => `a${i}: leaf`)} }` }),
  'fragments in a circle': (size) => {
    const count = Math.ceil(size / 11)
    const all = times(count, (i) => `fragment F${i} on A { a { ...F${(i + 1) % count} } }`)
    return { text: `{ a { ...F0 } } ${all}` }
  },
  'fragments that double': (size) => {
    const all = chain(size / 18, 'A', (next) => `x: a { ...${next} } y: a { ...${next} }`, 'leaf')
    return { text: `{ a { ...F0 } } ${all}` }
  },
  'fragments of everything in everything': (size) => {
    const count = Math.floor(Math.sqrt(size / 2))
    const rest = (i: number): string => times(count - i - 1, (j) => `...F${i + j + 1}`)
    return {
      text: `{ ...F0 } ${times(count, (i) => `fragment F${i} on Query { leaf ${rest(i)} }`)}`,
    }
  },
  'lists in lists': (size) => ({ text: nested(size / 8, 'nodes(first: 100000)') }),
  'interfaces in interfaces': (size) => ({ text: nested(size / 3, 'node') }),
  'unions in unions': (size) => ({
    text: `{ any ${'{ ... on T1 { any '.repeat(size / 7)}{ __typename } ${'} }'.repeat(size / 7)} }`,
  }),
  'a fragment for each type': (size) => ({
    text: `{ node { ${times(size / 10, (i) => `... on T${i % TYPES} { node { id } }`)} } }`,
  }),
  'fragments with sizes': (size) => {
    const fields = times(Math.max(1, size / 32), (i) => `n${i}: nodes(first: ${i + 2}) { ...F0 }`)
    return {
      text: `{ ${fields} } ${chain(size / 32, 'Node', (next) => `nodes { id ...${next} }`, 'id')}`,
    }
  },
  deep: (size) => ({ text: nested(size / 3, 'a') }),
  'deep fragments': (size) => ({
    text: `{ a { ...F0 } } ${chain(size / 8, 'A', (next) => `...${next}`, 'leaf')}`,
  }),
  'the schema about the schema': (size) => ({
    text: `{ __schema { types ${'{ fields { type '.repeat(size / 6)}{ name } ${'} }'.repeat(size / 6)} } }`,
  }),
  'a large variable': (size) => {
    const and = Array.from({ length: size }, () => ({ n: 1, and: [] }))
    return { text: 'query ($by: By) { nodes(by: $by) { id } }', variables: { by: { and } } }
  },
  'a deep variable': (size) => {
    let by: object = { n: 1 }
    for (let i = 0; i < size; i++) by = { and: [by] }
    return { text: 'query ($by: By) { nodes(by: $by) { id } }', variables: { by } }
  },
  'a deep literal': (size) => ({
    text: `{ nodes(by: ${'{ and: '.repeat(size / 4)}null${' }'.repeat(size / 4)}) { id } }`,
  }),
  'block strings': (size, random) => {
    const quotes = '\\"""'.repeat(random.integer(0, 3))
    return { text: `{ ${times(size / 8, (i) => `l${i}: leaf(text: """${quotes} { } "" # """)`)} }` }
  },
  'an open string': (size) => ({ text: `{ leaf(text: "${'\\"'.repeat(size * 10)}` }),
  'an open block': (size) => ({ text: `{ leaf(text: ${'"""x\\'.repeat(size * 4)}` }),
  unicode: (size) => ({
    text: `{ leaf(text: "${'\u{1f4a5}\u202e\ufeff'.repeat(size)}") }`,
  }),
  'unicode that is none': (size) => ({ text: `{ leaf(text: "${'\ud800'.repeat(size)}") }` }),
  comments: (size) => ({ text: `${'#\n,\t\ufeff'.repeat(size * 5)}{ leaf }` }),
  'huge sizes': (_size, random) => {
    const sizes = ['9'.repeat(400), '-1', '0', '1e400', '2147483648', 'null', '"9e99"', '[1]', '{}']
    return { text: `{ nodes(first: ${random.pick(sizes)}) { id } }` }
  },
  operations: (size) => ({ text: times(size / 5, (i) => `query Q${i} { leaf }`) }),
  directives: (size) => ({ text: `{ leaf ${times(size / 7, () => '@skip(if: false)')} }` }),
}

export const HOSTILE_KINDS = Object.keys(KINDS)

export function hostileDocument(kind: string, random: Random): Hostile {
  const size = random.pick([20, 100, 950, 990, 5_000, 100_000])
  return { kind, ...KINDS[kind]?.(size, random) } as Hostile
}
