/*
 * Elements, made one by one. Whatever comes from the server is set as text: there is no way in this page by which
 * a key or a name becomes markup.
 */

type Child = Node | string | undefined
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

const SVG = 'http://www.w3.org/2000/svg'
/** Characters that cannot be seen, or that turn others around. Two keys that look the same may differ by them. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u3164\u115f\u1160\uffa0\u2800]/u

/** What joins emoji to one, as in a family: it is no disguise. */
const JOINED =
  /(?<=\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f)\u200d(?=\p{Extended_Pictographic})/gu

/** An element with its attributes and what is in it. */
export function make<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name)
  setAttributes(element, attributes)
  for (const child of children) if (child !== undefined) element.append(child)
  return element
}

/** The same, of a drawing. */
export function draw<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[Name] {
  const element = document.createElementNS(SVG, name) as SVGElementTagNameMap[Name]
  setAttributes(element, attributes)
  for (const child of children) if (child !== undefined) element.append(child)
  return element
}

export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) element.removeAttribute(name)
    else if (element.getAttribute(name) !== `${value}`) element.setAttribute(name, `${value}`)
  }
}

/** Changes a text, if it differs: a reader's selection and place stay. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text
}

/** The element of this id, which the document always has. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`no #${id}`)
  return found
}

/** A name from outside, apart from the text around it. It may be of any script and direction. */
export function setName(cell: Element, text: string, kind = ''): void {
  if (cell.getAttribute('data-text') === text) return
  cell.setAttribute('data-text', text)
  const name = make('bdi', { class: kind }, text)
  const isOdd = HIDDEN.test(text.replace(JOINED, ''))
  const tag = make('span', { class: 'tag', title: codesOf(text) }, 'hidden characters')
  cell.replaceChildren(name, ...(isOdd ? [tag] : []))
}

/** The characters that cannot be seen, by their numbers. */
function codesOf(text: string): string {
  const odd = [...text].filter((char) => HIDDEN.test(char))
  const codes = odd.map((char) => (char.codePointAt(0) ?? 0).toString(16).toUpperCase())
  return [...new Set(codes)].map((code) => `U+${code.padStart(4, '0')}`).join(' ')
}

/** A part of the page with its heading, by which screen readers find it. */
export function section(
  id: string,
  heading: string,
  ...children: readonly Child[]
): { readonly element: HTMLElement; readonly head: HTMLElement } {
  const head = make('div', { class: 'head' }, make('h2', { id: `${id}-title` }, heading))
  const element = make('section', { id, 'aria-labelledby': `${id}-title` }, head, ...children)
  return { element, head }
}

/** Terms with their values: `show` changes those that differ, and hides those that are `undefined`. */
export class Facts {
  readonly element: HTMLElement
  readonly #terms = new Map<string, { readonly row: HTMLElement; readonly value: HTMLElement }>()

  constructor(kind: string) {
    this.element = make('dl', { class: kind })
  }

  show(term: string, value: string | undefined, note?: string, kind?: string): void {
    const known = this.#terms.get(term) ?? this.#add(term, kind)
    known.row.hidden = value === undefined
    const [text, small] = known.value.children as unknown as [HTMLElement, HTMLElement]
    setText(text, value ?? '')
    setText(small, note ?? '')
    small.hidden = note === undefined
  }

  #add(term: string, kind: string | undefined): { row: HTMLElement; value: HTMLElement } {
    const value = make('dd', {}, make('span'), make('small'))
    const row = make('div', { class: kind }, make('dt', {}, term), value)
    this.element.append(row)
    const made = { row, value }
    this.#terms.set(term, made)
    return made
  }
}
