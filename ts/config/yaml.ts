import type * as Yaml from 'yaml'
import { withCode } from '../validate.ts'
import type { Entry, Scalar, Tree } from './tree.ts'
import { MAX_DEPTH, MAX_KEY, MAX_NODES, MAX_TEXT, Misplaced } from './tree.ts'

/*
 * YAML 1.2 by the optional peer `yaml`, as far as it is data: no tags, no merge keys, no key twice, aliases that do not
 * multiply. What YAML would silently make another value of is refused.
 */

/** More words than this have not the values that are accepted. To read them all would take longer than a moment. */
const MAX_WORDS = 40_000
/** So many openings without an end are no configuration. The parser would go as deep. */
const MAX_OPENINGS = 2 * MAX_DEPTH
const DEEPEST_INDENT = 200
/** Words between two steps. */
const WORDS_AT_ONCE = 256
/** A text with its escapes and line ends, and the spaces before each line. */
const LONGEST = 4 * MAX_TEXT

/** Reads a text in steps. @throws Misplaced where it is no YAML, or more than data; Error with code MISSING_YAML without the package */
export function* yamlSteps(text: string): Generator<undefined, Tree> {
  const yaml = load()
  const words = yield* wordsOf(yaml, text)
  const document = yield* compose(yaml, words, text.length)
  yield
  // Such as a tag that is not known.
  const [wrong] = [...document.errors, ...document.warnings]
  if (wrong !== undefined) throw new Misplaced(wrong.pos[0], said(wrong, text))
  const { contents } = document
  if (contents === null)
    throw new Misplaced(0, 'a configuration must be an object, got an empty file')
  return new Reader(yaml).read(contents, 0)
}

function load(): typeof Yaml {
  try {
    return require('yaml') as typeof Yaml
  } catch {
    const message =
      'a YAML file must have the package yaml beside it: npm install yaml, or write the file as JSON'
    throw withCode(new Error(message), 'MISSING_YAML')
  }
}

/** What the parser says, in one line. Of `*: api`, the most likely mistake in this file, it says nothing that helps. */
function said({ message, pos }: Yaml.YAMLParseError | Yaml.YAMLWarning, text: string): string {
  const [at] = pos
  const start = text.lastIndexOf('\n', at - 1) + 1
  // An alias of YAML begins with *.
  const hint = /(?:^ *|[{,] *)\*[ ]*:/.test(text.slice(start, start + LONGEST_HINTED))
    ? ": put * into quotes, as in '*': api"
    : ''
  return `YAML: ${message.split('\n', 1)[0] ?? ''}${hint}`
}

const LONGEST_HINTED = 200

/** Looks at the words alone, which takes no depth: the parser would go as deep as the text. */
function* wordsOf(yaml: typeof Yaml, text: string): Generator<undefined, readonly string[]> {
  const limits = new WordLimits()
  const words: string[] = []
  for (const word of new yaml.Lexer().lex(text)) {
    limits.add(word)
    words.push(word)
    if (words.length % WORDS_AT_ONCE === 0) yield
  }
  return words
}

/** What `parseDocument` of the package does, without looking for the words again. */
function* compose(
  yaml: typeof Yaml,
  words: readonly string[],
  length: number,
): Generator<undefined, Yaml.Document> {
  const parser = new yaml.Parser()
  const composer = new yaml.Composer({
    version: '1.2',
    schema: 'core',
    merge: false,
    // The reader below compares them, in less time.
    uniqueKeys: false,
    strict: true,
    prettyErrors: false,
    logLevel: 'error',
  })
  const documents: Yaml.Document.Parsed[] = []
  for (const [i, word] of words.entries()) {
    for (const token of parser.next(word)) documents.push(...composer.next(token))
    if (i % WORDS_AT_ONCE === 0) yield
    if (documents.length > 1) break
  }
  for (const token of parser.end()) documents.push(...composer.next(token))
  // With `true` there is always one.
  documents.push(...composer.end(true, length))
  const [document, another] = documents
  if (another !== undefined && document?.errors.length === 0) {
    throw new Misplaced(another.range[0], 'a YAML file must have one document, got several')
  }
  return document as Yaml.Document.Parsed
}

/** What the lexer puts before a text, and other marks of its own that are not in the file. */
const SCALAR = '\u001f'
const MARKS: readonly string[] = [SCALAR, '\u0002', '\u0018']

class WordLimits {
  #at = 0
  #words = 0
  #openings = 0
  #inARow = 0
  #previous = ''

  add(word: string): void {
    this.#words++
    if (this.#words > MAX_WORDS)
      this.#refuse(`a configuration must have at most ${MAX_NODES} values`)
    if (MARKS.includes(word)) {
      this.#previous = word
      return
    }
    if (word.length > LONGEST && word[0] !== '#' && word.trim() !== '') {
      this.#refuse(`a text must have at most ${MAX_TEXT} characters`)
    }
    if (this.#previous !== SCALAR) this.#sign(word)
    this.#previous = word
    this.#at += word.length
  }

  #sign(word: string): void {
    if (word[0] === '!')
      this.#refuse(
        'a value must have no tag: it is text, a number, true, false, a list or an object',
      )
    if (word[0] === '%') this.#refuse('YAML must have no directives (%): leave the line out')
    if (word === '[' || word === '{') this.#openings++
    else if (word === ']' || word === '}') this.#openings--
    // `- - - x` is three levels.
    if (word === '-' || word === '?') this.#inARow++
    else if (word.trim() !== '') this.#inARow = 0
    const isIndent = this.#previous.endsWith('\n') && word.length > DEEPEST_INDENT
    if (
      this.#openings > MAX_OPENINGS ||
      this.#inARow > MAX_OPENINGS ||
      (isIndent && word.trim() === '')
    ) {
      this.#refuse(`values must not be nested deeper than ${MAX_DEPTH}`)
    }
  }

  #refuse(message: string): never {
    throw new Misplaced(this.#at, message)
  }
}

/** Makes a tree of what the parser has found. */
class Reader {
  readonly #yaml: typeof Yaml
  readonly #anchors = new Map<string, Yaml.Node>()
  #nodes = 0

  constructor(yaml: typeof Yaml) {
    this.#yaml = yaml
  }

  read(node: unknown, depth: number, place?: number): Tree {
    const { isAlias, isMap, isScalar, isSeq } = this.#yaml
    const at = place ?? startOf(node)
    this.#nodes++
    if (depth > MAX_DEPTH)
      throw new Misplaced(at, `values must not be nested deeper than ${MAX_DEPTH}`)
    if (this.#nodes > MAX_NODES) {
      throw new Misplaced(
        at,
        `a configuration must have at most ${MAX_NODES} values, those of aliases included`,
      )
    }
    if (isAlias(node)) return this.read(this.#anchorOf(node.source, at), depth, at)
    let tree: Tree
    if (isMap(node)) tree = this.#map(node, depth, at)
    else if (isSeq(node))
      tree = { kind: 'list', at, items: node.items.map((item) => this.read(item, depth + 1)) }
    else tree = isScalar(node) ? scalarOf(node, at) : { kind: 'scalar', at, value: null }
    const { anchor } = node as { readonly anchor?: string }
    // Once it is complete: one within itself has no end.
    if (anchor !== undefined) this.#anchors.set(anchor, node as Yaml.Node)
    return tree
  }

  #anchorOf(name: string, at: number): Yaml.Node {
    const node = this.#anchors.get(name)
    if (node !== undefined) return node
    throw new Misplaced(at, 'an alias must stand after its anchor is complete')
  }

  #map(node: Yaml.YAMLMap, depth: number, at: number): Tree {
    const entries = new Map<string, Entry>()
    for (const { key, value } of node.items) {
      const keyAt = startOf(key)
      const name = this.#keyOf(key, keyAt)
      if (entries.has(name))
        throw new Misplaced(keyAt, 'a key must stand once: one of the two would be lost')
      const tree: Tree =
        value === null ? { kind: 'scalar', at: keyAt, value: null } : this.read(value, depth + 1)
      entries.set(name, { at: keyAt, tree })
    }
    return { kind: 'map', at, entries }
  }

  #keyOf(key: unknown, at: number): string {
    const { isScalar } = this.#yaml
    const name = isScalar(key) ? key.value : undefined
    if (typeof name !== 'string') {
      throw new Misplaced(
        at,
        'a key must be a text; put it into quotes if it looks like a number, true or false',
      )
    }
    if (name === '<<')
      throw new Misplaced(at, 'YAML must have no merge keys (<<): write the keys where they belong')
    if (name.length > MAX_KEY)
      throw new Misplaced(at, `a key must have at most ${MAX_KEY} characters`)
    return name
  }
}

function startOf(node: unknown): number {
  const { range } = (node ?? {}) as { readonly range?: readonly number[] | null }
  return range?.[0] ?? 0
}

const PLAIN_NUMBER = /^(?:0|-?[1-9]\d{0,15})(?:\.\d{1,16})?$/

function scalarOf(node: Yaml.Scalar, at: number): Scalar {
  const { value, source = '' } = node
  if (typeof value === 'string') {
    if (value.length <= MAX_TEXT) return { kind: 'scalar', at, value }
    throw new Misplaced(at, `a text must have at most ${MAX_TEXT} characters`)
  }
  if (typeof value === 'number') {
    if (PLAIN_NUMBER.test(source)) return { kind: 'scalar', at, value }
    throw new Misplaced(
      at,
      'a number must be written in plain digits, such as 1000; put it into quotes if it is a text',
    )
  }
  if (typeof value === 'boolean' || value === null) return { kind: 'scalar', at, value }
  throw new Misplaced(at, 'a value must be text, a number, true, false, a list or an object')
}
