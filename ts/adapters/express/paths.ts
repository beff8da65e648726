import type { Layer } from './internals.ts'

/** The paths that a middleware or a router is for, as they were given; `undefined` for one that can't be told. */
export function pathsOf({ rawPath, slash, regexp }: Layer): readonly (string | undefined)[] {
  if (rawPath !== undefined) return textsOf(rawPath)
  if (slash === true || regexp?.fast_slash === true) return ['/']
  return regexp === undefined ? [undefined] : textsIn(regexp)
}

/** A path or several of them. A regular expression is none that can be told. */
export function textsOf(path: unknown): readonly (string | undefined)[] {
  return [path].flat().map((one: unknown) => (typeof one === 'string' ? one : undefined))
}

/** Whether a path lies where one of these does. What can't be told lies under the root alone. */
export function under(path: string | undefined, places: readonly string[]): boolean {
  return places.some((place) => {
    const wanted = segments(place)
    const found = segments(path ?? '')
    return wanted.every((segment, i) => isSame(segment, found[i]))
  })
}

function segments(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '')
}

/** Parameters of one name or another are the same: both take every segment. */
function isSame(one: string, other: string | undefined): boolean {
  if (other === undefined) return false
  const isParameter = one.startsWith(':') && other.startsWith(':')
  return isParameter || one.toLowerCase() === other.toLowerCase()
}

const END = '\\/?(?=\\/|$)'

/** Express 4 keeps what it made of a path, which is one again but for the names of its parameters. */
function textsIn({ source }: RegExp): (string | undefined)[] {
  const [first = '', ...rest] = source.split('|^')
  return [first, ...rest.map((one) => `^${one}`)].map(textIn)
}

function textIn(source: string): string | undefined {
  if (!source.startsWith('^') || !source.endsWith(END)) return undefined
  const text = source
    .slice(1, -END.length)
    .replaceAll('(?:\\/([^/]+?))', '/:parameter')
    .replaceAll('(?:([^\\/]+?))', ':parameter')
    .replace(/\\(.)/g, '$1')
  return /[()[\]?*+|]/.test(text) ? undefined : text
}
