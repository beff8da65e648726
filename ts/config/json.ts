import {
  type Entry,
  MAX_DEPTH,
  MAX_KEY,
  MAX_NODES,
  MAX_TEXT,
  Misplaced,
  type Tree,
} from './tree.ts'

/*
 * JSON as RFC 8259 has it, with the place of each value. `JSON.parse` has no places, lets the last of two equal
 * keys win, and follows any depth.
 */

const SPACE = /[ \t\n\r]*/y
const WORD = /[^\s,:{}[\]"]+/y
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
])

/** @throws Misplaced where it is no JSON */
export function parseJson(text: string): Tree {
  const reader = new JsonReader(text)
  return reader.whole()
}

class JsonReader {
  readonly #text: string
  #at = 0
  #nodes = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): Tree {
    const tree = this.#value(0)
    this.#space()
    if (this.#at < this.#text.length) throw this.#error('the end of the file')
    return tree
  }

  #value(depth: number): Tree {
    this.#space()
    const at = this.#at
    if (depth > MAX_DEPTH) {
      throw new Misplaced(at, `values must not be nested deeper than ${MAX_DEPTH}`)
    }
    this.#nodes++
    if (this.#nodes > MAX_NODES) {
      throw new Misplaced(at, `a configuration must have at most ${MAX_NODES} values`)
    }
    switch (this.#text[at]) {
      case '{':
        return this.#map(at, depth)
      case '[':
        return this.#list(at, depth)
      case '"':
        return { kind: 'scalar', at, value: this.#string(MAX_TEXT, 'a text') }
      default:
        return { kind: 'scalar', at, value: this.#word() }
    }
  }

  #map(at: number, depth: number): Tree {
    const entries = new Map<string, Entry>()
    this.#at++
    if (this.#takes('}')) return { kind: 'map', at, entries }
    do {
      this.#space()
      const keyAt = this.#at
      if (this.#text[keyAt] !== '"') throw this.#error('a key in double quotes')
      const key = this.#string(MAX_KEY, 'a key')
      if (entries.has(key)) {
        throw new Misplaced(
          keyAt,
          `the key ${JSON.stringify(key)} must stand once: one of the two would be lost`,
        )
      }
      if (!this.#takes(':')) throw this.#error('":" after the key')
      entries.set(key, { at: keyAt, tree: this.#value(depth + 1) })
    } while (this.#takes(','))
    if (!this.#takes('}')) throw this.#error('"," or "}"')
    return { kind: 'map', at, entries }
  }

  #list(at: number, depth: number): Tree {
    const items: Tree[] = []
    this.#at++
    if (this.#takes(']')) return { kind: 'list', at, items }
    do items.push(this.#value(depth + 1))
    while (this.#takes(','))
    if (!this.#takes(']')) throw this.#error('"," or "]"')
    return { kind: 'list', at, items }
  }

  #string(longest: number, what: string): string {
    const start = this.#at
    let end = start + 1
    while (this.#text[end] !== '"') {
      const unit = this.#text.charCodeAt(end)
      if (Number.isNaN(unit) || unit < 0x20) {
        this.#at = end
        throw this.#error('a quote that ends the text')
      }
      end += this.#text[end] === '\\' ? 2 : 1
      if (end - start > 6 * longest) {
        throw new Misplaced(start, `${what} must have at most ${longest} characters`)
      }
    }
    this.#at = end + 1
    const value = unescaped(this.#text.slice(start, end + 1), start)
    if (value.length <= longest) return value
    throw new Misplaced(start, `${what} must have at most ${longest} characters`)
  }

  #word(): number | boolean | null {
    WORD.lastIndex = this.#at
    const word = WORD.exec(this.#text)?.[0] ?? ''
    const known = WORDS.get(word)
    if (known === undefined && !(word.length < 32 && NUMBER.test(word)))
      throw this.#error('a value')
    this.#at += word.length
    return known === undefined ? Number(word) : known
  }

  #takes(sign: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== sign) return false
    this.#at++
    return true
  }

  #space(): void {
    SPACE.lastIndex = this.#at
    SPACE.exec(this.#text)
    this.#at = SPACE.lastIndex
  }

  #error(expected: string): Misplaced {
    const at = this.#at
    const rest = this.#text.slice(at, at + 2)
    if (rest === '//' || rest === '/*' || rest.startsWith('#')) {
      const message = 'JSON has no comments: leave them out, or write the file as YAML, which has'
      return new Misplaced(at, message)
    }
    const found = rest === '' ? 'the end of the file' : JSON.stringify(rest[0])
    const isComma = (rest[0] === '}' || rest[0] === ']') && expected.startsWith('a ')
    const hint = isComma ? ': remove the comma before it' : ''
    return new Misplaced(at, `JSON must have ${expected} here, got ${found}${hint}`)
  }
}

function unescaped(quoted: string, at: number): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    const message = 'a text must have only the escapes of JSON, such as \\n, \\" and \\u00e9'
    throw new Misplaced(at, message)
  }
}
