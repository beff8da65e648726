import { parseList } from 'structured-headers'

/** A limit as it was set. */
interface Limit {
  readonly count: number
  readonly windowMs: number
}

/** Any headers, of the limiter or not. */
type Headers = Readonly<Record<string, unknown>> & { readonly ratelimit?: unknown }

const LEGACY = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset']
const MAX_INTEGER = 999_999_999_999_999

/**
 * What is wrong with the headers of an answer: nothing, one hopes. With `limits`, the draft's fields must list
 * these under these names, and no others.
 */
export function problemsOf(
  headers: Headers,
  limits?: readonly Limit[],
  names?: readonly string[],
): string[] {
  return [...integersOf(headers), ...fieldsOf(headers, limits, names)]
}

function integersOf(headers: Headers): string[] {
  const wrong = [...LEGACY, 'retry-after'].filter((name) => {
    const value = headers[name]
    return value !== undefined && !isInteger(value, name === 'retry-after' ? 1 : 0)
  })
  return wrong.map((name) => `${name}: ${String(headers[name])}`)
}

function isInteger(value: unknown, least: number): boolean {
  return /^(?:0|[1-9]\d{0,14})$/.test(String(value)) && Number(value) >= least
}

function fieldsOf(
  headers: Headers,
  limits?: readonly Limit[],
  names?: readonly string[],
): string[] {
  const fields = [headers['ratelimit-policy'], headers.ratelimit]
  if (fields.every((field) => field === undefined)) return limits === undefined ? [] : ['no field']
  try {
    const [policies = [], standings = []] = fields.map((field) => itemsOf(String(field)))
    return [
      ...policies.flatMap((item, i) => policyProblems(item, limits?.[i])),
      ...standings.flatMap(standingProblems),
      ...nameProblems([policies, standings], limits, names),
    ]
  } catch (error) {
    return [`${String(error)}: ${fields.join(' | ')}`]
  }
}

interface Item {
  readonly name: unknown
  readonly parameters: ReadonlyMap<string, unknown>
}

function itemsOf(field: string): Item[] {
  return parseList(field).map(([name, parameters]) => ({ name, parameters }))
}

function policyProblems({ name, parameters }: Item, limit: Limit | undefined): string[] {
  const { q, w, ...others } = Object.fromEntries(parameters)
  const isRight =
    inRange(q, 1) && (w === undefined || inRange(w, 1)) && Object.keys(others).length === 0
  if (!isRight) return [`policy ${String(name)} ${JSON.stringify({ q, w, others })}`]
  if (limit === undefined) return []
  const seconds = limit.windowMs / 1_000
  const window = Number.isInteger(seconds) ? seconds : undefined
  return q === limit.count && w === window ? [] : [`policy ${String(name)} is q=${q} w=${w}`]
}

function standingProblems({ name, parameters }: Item): string[] {
  const { r, t, ...others } = Object.fromEntries(parameters)
  const isRight =
    inRange(r, 0) && (t === undefined || inRange(t, 0)) && Object.keys(others).length === 0
  return isRight ? [] : [`standing ${String(name)} ${JSON.stringify({ r, t, others })}`]
}

function nameProblems(
  lists: readonly (readonly Item[])[],
  limits?: readonly Limit[],
  names?: readonly string[],
): string[] {
  return lists.flatMap((items) => {
    const found = items.map(({ name }) => name)
    if (found.some((name) => typeof name !== 'string')) return ['a name that is no string']
    if (limits !== undefined && found.length !== limits.length) return ['more or fewer than limits']
    if (names === undefined || names.join('\n') === found.join('\n')) return []
    return [`names ${found.join(' | ')}`]
  })
}

function inRange(value: unknown, least: number): boolean {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= MAX_INTEGER
}
