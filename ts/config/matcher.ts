import { foldSegment, type Route, type Target } from './routes.ts'

/*
 * Finds the route of a request: exact before parameters before `/*` before `*`, a method before every method.
 *
 * Frameworks read paths in different ways, and a request must not get another limit by a spelling that its handler
 * does not mind. So `/Search`, `/search/`, `//search` and `/%73earch` are `/search` here. What is not to be limited
 * must be written as it is: another spelling of it is counted as a request for no route.
 */

interface Node {
  readonly children: Map<string, Node>
  parameter: Node | undefined
  /** By method, `''` for every method. */
  readonly ends: Map<string, Route>
  readonly opens: Map<string, Route>
}

function newNode(): Node {
  return { children: new Map(), parameter: undefined, ends: new Map(), opens: new Map() }
}

/** Answers for a version of a file. */
export class Matcher {
  readonly #root = newNode()
  /** For all requests that no route names. */
  readonly #rest: Target

  /** @param rest for the requests of no route */
  constructor(routes: readonly Route[], rest: Target) {
    this.#rest = rest
    for (const route of routes) this.#add(route)
  }

  #add(route: Route): void {
    let node = this.#root
    for (const segment of route.segments) {
      if (segment === undefined) {
        node.parameter ??= newNode()
        node = node.parameter
      } else {
        const next = node.children.get(segment) ?? newNode()
        node.children.set(segment, next)
        node = next
      }
    }
    const method = route.method ?? ''
    if (route.isOpen) node.opens.set(method, route)
    else node.ends.set(method, route)
  }

  /**
   * The limiters that count a request, none of them twice: one, or two if the path has two readings, or none.
   *
   * @param target as it was asked for, with its query
   */
  of(method: string, target: string): readonly Target[] {
    const path = pathOf(target)
    const first = this.#targetOf(this.#find(method, path, segmentsOf(path)))
    if (!DOTS.test(path)) return [first]
    // Some servers go up at `..`, and some do not.
    const other = this.#targetOf(this.#find(method, path, withoutDots(path)))
    return first === other ? [first] : [first, other]
  }

  /**
   * By which route one of these limiters counts a request, as the file has it: `GET /users/:id`. `undefined` where no
   * route names the request.
   */
  patternOf(method: string, target: string, limiter: string): string | undefined {
    const path = pathOf(target)
    const first = this.#find(method, path, segmentsOf(path))
    if (first?.target === limiter) return first.pattern
    const other = DOTS.test(path) ? this.#find(method, path, withoutDots(path)) : undefined
    return other?.target === limiter ? other.pattern : undefined
  }

  #targetOf(route: Route | undefined): Target {
    return route === undefined ? this.#rest : route.target
  }

  #find(method: string, path: string, segments: readonly string[]): Route | undefined {
    const route = find(this.#root, segments, 0, method === 'HEAD' ? 'GET' : method)
    return route?.target !== false || isLiteral(route, path) ? route : undefined
  }
}

/** Visits each node at most once: there is one way to each. */
function find(
  node: Node,
  segments: readonly string[],
  depth: number,
  method: string,
): Route | undefined {
  if (depth === segments.length) {
    const route = node.ends.get(method) ?? node.ends.get('')
    if (route !== undefined) return route
  } else {
    const child = node.children.get(segments[depth] as string)
    const found = child && find(child, segments, depth + 1, method)
    if (found !== undefined) return found
    const parameter = node.parameter && find(node.parameter, segments, depth + 1, method)
    if (parameter !== undefined) return parameter
  }
  return node.opens.get(method) ?? node.opens.get('')
}

/** A dot as a segment, also in disguise, or what some servers take for a slash. */
const DOTS = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)|\\|%2f|%5c/i

/** Without the query, and without the server that a proxy's request names. */
function pathOf(target: string): string {
  const end = target.search(/[?#]/)
  const path = end < 0 ? target : target.slice(0, end)
  if (path.startsWith('/')) return path
  const server = /^[a-z][a-z0-9+.-]*:\/\/[^/]*/i.exec(path)?.[0]
  return server === undefined ? path : path.slice(server.length)
}

/** More segments than any route has are not read one by one. */
const MAX_READ = 64

function segmentsOf(path: string): readonly string[] {
  const segments: string[] = []
  let start = 0
  while (start < path.length && segments.length < MAX_READ) {
    const found = path.indexOf('/', start)
    const end = found < 0 ? path.length : found
    if (end > start) segments.push(foldSegment(path.slice(start, end)))
    start = end + 1
  }
  return segments
}

function withoutDots(path: string): readonly string[] {
  const segments: string[] = []
  for (const part of path.split(/[/\\]|%2f|%5c/i)) {
    const plain = part.replace(/%2e/gi, '.')
    if (plain === '' || plain === '.') continue
    if (plain === '..') segments.pop()
    else segments.push(foldSegment(part))
  }
  return segments.slice(0, MAX_READ)
}

/** Whether the path is written as the route is, but for its parameters. */
function isLiteral({ text, isOpen }: Route, path: string): boolean {
  const written = text.slice(text.indexOf('/')).split('/')
  const asked = path.split('/')
  if (!isOpen && asked.length !== written.length) return false
  return written.every((part, i) => {
    if (isOpen && i === written.length - 1) return true
    return part.startsWith(':') ? asked[i] !== '' : part === asked[i]
  })
}
