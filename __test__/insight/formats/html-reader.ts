/** A piece of a page: a tag or a text, with entities resolved. */
export interface Piece {
  readonly tag: string | undefined
  readonly attributes: ReadonlyMap<string, string>
  readonly text: string
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  '#39': "'",
  '#96': '`',
}
const EMPTY = new Set(['meta', 'path'])
const ATTRIBUTE = /\s+([a-zA-Z-]+)(?:="([^"<>`']*|default-src [^"<>`]*)")?/y

/**
 * Reads a page more strictly than any browser: tags are closed in order, attributes are in double quotes, and
 * `<`, `>`, quotes and `&` stand in texts as entities alone.
 */
export function readHtml(page: string): readonly Piece[] {
  const [doctype = '', rest = ''] = [page.slice(0, 15), page.slice(15)]
  if (doctype !== '<!doctype html>') throw new Error('no doctype')
  const pieces: Piece[] = []
  const open: string[] = []
  for (const [, end, name = '', inside = '', self, text = ''] of rest.matchAll(
    /<(\/?)([a-z0-9]+)((?:[^<>"]|"[^"]*")*?)(\/?)>|([^<]+|<)/g,
  )) {
    if (name === '')
      pieces.push({ tag: undefined, attributes: new Map(), text: textOf(text, open) })
    else if (end === '/') {
      if (open.pop() !== name) throw new Error(`</${name}> closes something else`)
    } else {
      if (!EMPTY.has(name) && self !== '/') open.push(name)
      pieces.push({ tag: name, attributes: attributesOf(inside), text: '' })
    }
  }
  if (open.length > 0) throw new Error(`${open} are not closed`)
  return pieces
}

function textOf(text: string, open: readonly string[]): string {
  // The content of a style ends at the first </style>, wherever that stands.
  if (open.at(-1) === 'style') return text
  return resolved(text)
}

function resolved(text: string): string {
  if (/[<>"'`]/.test(text)) throw new Error(`not escaped: ${text}`)
  return text.replace(/&([^;&]{0,6};?)/g, (_, entity: string) => {
    const char = ENTITIES[entity.replace(/;$/, '')]
    if (char === undefined || !entity.endsWith(';')) throw new Error(`not an entity: &${entity}`)
    return char
  })
}

function attributesOf(inside: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>()
  ATTRIBUTE.lastIndex = 0
  let read = 0
  for (let found = ATTRIBUTE.exec(inside); found !== null; found = ATTRIBUTE.exec(inside)) {
    const [, name = '', value = ''] = found
    if (attributes.has(name)) throw new Error(`${name} stands twice`)
    attributes.set(name, value.startsWith('default-src ') ? value : resolved(value))
    read = ATTRIBUTE.lastIndex
  }
  if (inside.slice(read).trim() !== '') throw new Error(`not attributes: ${inside}`)
  return attributes
}
