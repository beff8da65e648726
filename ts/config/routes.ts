import { knownMethods, readMethods } from '../http/counted-requests.ts'
import { closestTo, printable } from '../validate.ts'
import { joined, shown } from './fits.ts'
import { MAX_ROUTES } from './table.ts'
import type { Problems, Tree } from './tree.ts'

/*
 * Which limiter counts a request: what the file says about it, and the question of each request.
 */

/** What a route says: a limiter, or that its requests are not counted. */
export type Target = string | false

/** One route of a file. */
export interface Route {
  /** As the file has it: `GET /users/:id`. */
  readonly text: string
  /** The same in one spelling, for an insight. */
  readonly pattern: string
  /** `undefined` for every method. HEAD is GET. */
  readonly method: string | undefined
  /** The path's segments: in lower case, a parameter as `undefined`. */
  readonly segments: readonly (string | undefined)[]
  /** Whether it ends in `/*`. */
  readonly isOpen: boolean
  readonly target: Target
}

export const ALL = '*'
const ROUTE = /^(?:([A-Za-z][A-Za-z-]{0,31}) +)?(\/[^\s?#]*)$/
const MAX_SEGMENTS = 32
const ACCEPTED = "a path such as 'GET /users/:id' or '/search', or '*'"

/** Reads the routes of a file. Reports what is wrong with them. */
export function readRoutes(
  tree: Tree,
  limiters: readonly string[],
  problems: Problems,
): readonly Route[] {
  if (tree.kind !== 'map') {
    problems.add(
      tree.at,
      'routes',
      `routes must be an object such as { 'GET /search': 'search', '*': 'api' }, got ${shown(tree)}`,
    )
    return []
  }
  if (tree.entries.size > MAX_ROUTES) {
    problems.add(
      tree.at,
      'routes',
      `routes must have at most ${MAX_ROUTES} entries, got ${tree.entries.size}`,
    )
    return []
  }
  const known = new Set(limiters)
  const routes: Route[] = []
  const seen = new Map<string, string>()
  for (const [text, { at, tree: target }] of tree.entries) {
    const path = joined('routes', text)
    const parsed = parseRoute(text)
    if (typeof parsed === 'string')
      problems.add(at, path, `${printable(text)} in routes must be ${ACCEPTED}: ${parsed}`)
    const read = readTarget(target, known, path, problems)
    if (typeof parsed === 'string' || read === undefined) continue
    const same = `${parsed.method} ${parsed.segments.map((one) => one ?? ':').join('/')}${parsed.isOpen}`
    const other = seen.get(same)
    if (other !== undefined) {
      problems.add(
        at,
        path,
        `${printable(text)} in routes must not be the same route as ${printable(other)}`,
      )
    }
    seen.set(same, text)
    routes.push({ ...parsed, text, target: read })
  }
  return routes
}

function readTarget(
  tree: Tree,
  limiters: ReadonlySet<string>,
  path: string,
  problems: Problems,
): Target | undefined {
  if (tree.kind === 'scalar') {
    const { value, plain } = tree
    if (value === false || plain === false) return false
    if (typeof value === 'string' && limiters.has(value)) return value
  }
  if (problems.isFull) return undefined
  const names = [...limiters].map((name) => `'${name}'`).join(', ')
  const accepted = `the name of a limiter (${names === '' ? 'there is none' : names}), or false for no limit`
  // What a variable says is not shown, and neither is what it is like.
  const isOwn = tree.kind === 'scalar' && typeof tree.value === 'string' && tree.from === undefined
  const closest = isOwn ? closestTo(`${tree.value}`, [...limiters]) : undefined
  const hint = closest === undefined ? '' : `; did you mean ${closest}?`
  problems.add(tree.at, path, `${path} must be ${accepted}, got ${shown(tree)}${hint}`)
  return undefined
}

/** A route without its target, or what is wrong with it. */
function parseRoute(text: string): Omit<Route, 'target' | 'text'> | string {
  if (text === ALL) return { pattern: ALL, method: undefined, segments: [], isOpen: true }
  const [, method, path] = ROUTE.exec(text) ?? []
  if (path === undefined) return 'a path begins with / and has no query'
  const isOpen = path.endsWith('/*')
  const parts = path
    .slice(1, isOpen ? -2 : undefined)
    .split('/')
    .filter((part) => part !== '')
  if (parts.length > MAX_SEGMENTS) return `it has more than ${MAX_SEGMENTS} segments`
  const wrong = parts.find((part) => !/^(?::[A-Za-z_]\w*|[^:*(){}[\]\\|^"<>`]+)$/.test(part))
  if (wrong !== undefined) {
    return `${printable(wrong)} is no segment; a segment is a text or :name, and only the last may be *`
  }
  if (parts.some((part) => part === '.' || part === '..')) return 'it has dots as a segment'
  const unknown = method === undefined ? undefined : unknownMethod(method.toUpperCase())
  if (unknown !== undefined) return unknown
  const segments = parts.map((part) => (part.startsWith(':') ? undefined : foldSegment(part)))
  const counted = method && [...readMethods([method], 'method')][0]
  const pattern = counted === undefined ? path : `${counted} ${path}`
  return { pattern, method: counted, segments, isOpen }
}

/** What is wrong with a method: a limit on one that does not exist would count no request. */
function unknownMethod(method: string): string | undefined {
  if (method === 'HEAD') return 'HEAD counts as GET, so write GET'
  const known = knownMethods()
  if (known.includes(method)) return undefined
  const closest = closestTo(method, known) ?? anagramOf(method, known)
  const hint =
    closest === undefined ? 'write the path alone for all methods' : `did you mean ${closest}?`
  return `there is no method ${printable(method)}; ${hint}`
}

function anagramOf(method: string, known: readonly string[]): string | undefined {
  const letters = (text: string): string => [...text].sort().join('')
  return known.find((one) => letters(one) === letters(method))
}

/** A segment as paths are compared: decoded once, in lower case. */
export function foldSegment(segment: string): string {
  return decoded(segment).toLowerCase()
}

function decoded(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
