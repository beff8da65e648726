import { type AnyHttpOptions, limitsAny } from '../http/options.ts'
import { printable } from '../validate.ts'
import { combined, type WrittenLimiter } from './combine.ts'
import { joined, shown } from './fits.ts'
import { type Environment, interpolated, withoutValues } from './interpolate.ts'
import { type Options, PARTS, readOptions } from './options.ts'
import { ALL, type Route, readRoutes, type Target } from './routes.ts'
import {
  LIMITER_KEYS,
  LIMITER_NAME,
  MAX_LIMITERS,
  OF_LIMITS,
  ONLY_LIMITER,
  RESERVED,
  TOP_KEYS,
} from './table.ts'
import {
  type ConfigProblem,
  eachScalar,
  type Mapping,
  Problems,
  type Tree,
  writtenOf,
} from './tree.ts'

/** A configuration that has been checked. */
export interface Checked {
  /** The options of each limiter, those of the whole file included. */
  readonly limiters: ReadonlyMap<string, Options>
  readonly routes: readonly Route[]
  /** For the requests that no route names. */
  readonly rest: Target
  readonly shield: Options | undefined
  readonly insight: Options | undefined
  /** Options of the whole file, for the shield: `trust`, `allow`, `deny`, `dryRun`. */
  readonly common: Options
  /** As it was written: what may be printed. */
  written(): unknown
  readonly warnings: readonly ConfigProblem[]
  /** The same file beside other options of the program, or what is wrong with them together. */
  beside(base: Options): Checked | readonly ConfigProblem[]
}

/** What a configuration is checked with. */
export interface CheckContext {
  readonly file: string
  readonly text: string
  /** What variables mean; without it there are none, as in a program. */
  readonly environment?: Environment | undefined
  /** Options that the program gives beside the file. */
  readonly base?: Options
}

/** @returns the configuration, or all that is wrong with it */
export function check(
  tree: Tree,
  { file, text, environment, base = {} }: CheckContext,
): Checked | readonly ConfigProblem[] {
  const problems = new Problems(file, text)
  const whole = environment === undefined ? tree : interpolated(tree, environment, problems)
  if (whole.kind !== 'map') {
    return [problems.at(tree.at, '', `a configuration must be an object, got ${shown(tree)}`)]
  }
  const unset = problems.found.map(({ path }) => path)
  const reader = new Reader(whole, problems)
  const read = reader.read()
  const warnings = new Problems(file, text)
  if (problems.found.length === 0) reader.warnOfUnused(read, warnings)
  const combine = (beside: Options, wrong: Problems): Checked | readonly ConfigProblem[] => {
    const { written, common: top, ...rest } = read
    const isData = environment !== undefined
    const limiters = combined(written, { base: beside, top, whole, isData }, wrong)
    if (wrong.found.length > 0) {
      const told = wrong.found.filter((one, i) => i < unset.length || !isEcho(one, unset))
      return inOrder(told, whole, environment ?? {})
    }
    return {
      ...rest,
      common: top,
      limiters,
      warnings: warnings.found,
      written: () => writtenOf(whole),
      beside: (other) => combine(other, new Problems(file, text)),
    }
  }
  return combine(base, problems)
}

function inOrder(
  found: readonly ConfigProblem[],
  whole: Tree,
  environment: Environment,
): readonly ConfigProblem[] {
  const variables = variablesIn(whole)
  return found.map((one) => safe(one, variables, environment)).sort(byPlace)
}

/** The limiters that a route may name: also those with a mistake, which is reported where they stand. */
function declaredIn(tree: Tree | undefined, names: readonly string[]): readonly string[] {
  if (tree?.kind !== 'map' || tree.entries.size > MAX_LIMITERS) return names
  return [...tree.entries.keys()].filter(isLimiterName)
}

const NAME = new RegExp(LIMITER_NAME)

function isLimiterName(name: string): boolean {
  return NAME.test(name) && !RESERVED.includes(name)
}

/** Whether all that is wrong is that there is no such variable, which is reported already. */
function isEcho({ path, message }: ConfigProblem, unset: readonly string[]): boolean {
  if (!/, got what \$\{.* says$/.test(message)) return false
  return unset.some(
    (one) => one === path || one.startsWith(`${path}.`) || one.startsWith(`${path}[`),
  )
}

function safe(
  problem: ConfigProblem,
  variables: Iterable<string>,
  environment: Environment,
): ConfigProblem {
  const message = withoutValues(problem.message, variables, environment)
  const place = problem.text.slice(0, problem.text.length - problem.message.length)
  return { ...problem, message, text: `${place}${message}` }
}

function isLimiterOption(insight: unknown): boolean {
  return typeof (insight as { counter?: unknown } | undefined)?.counter === 'function'
}

function byPlace(one: ConfigProblem, other: ConfigProblem): number {
  const { line = 0, column = 0 } = one
  return line - (other.line ?? 0) || column - (other.column ?? 0)
}

function variablesIn(tree: Tree): ReadonlySet<string> {
  const names = new Set<string>()
  eachScalar(tree, ({ from = [] }) => {
    for (const name of from) names.add(name)
  })
  return names
}

/** What a file says, before the options of its limiters are put together. */
interface Written extends Pick<Checked, 'routes' | 'rest' | 'shield' | 'insight' | 'common'> {
  readonly written: ReadonlyMap<string, WrittenLimiter>
}

/** Reads one configuration, and reports all that is wrong with it. */
class Reader {
  readonly #whole: Mapping
  readonly #problems: Problems

  constructor(whole: Mapping, problems: Problems) {
    this.#whole = whole
    this.#problems = problems
  }

  read(): Written {
    const { entries } = this.#whole
    const known = [...Object.keys(TOP_KEYS), ...PARTS]
    const common = readOptions(this.#whole, known, '', this.#problems)
    const { shield, insight: shown, $schema: _schema, ...rest } = common
    // One that a program has made is an option of each limiter.
    const isMade = isLimiterOption(shown)
    const all: Options = isMade ? { ...rest, insight: shown } : rest
    const insight = isMade ? undefined : shown
    const named = entries.get('limiters')
    const written = named === undefined ? this.#only(all) : this.#limiters(named.tree)
    const names = [...written.keys()]
    const given = entries.get('routes')
    const declared = declaredIn(named?.tree, names)
    const routes = given === undefined ? [] : readRoutes(given.tree, declared, this.#problems)
    return {
      written,
      routes: routes.filter((route) => route.text !== ALL),
      rest: this.#rest(routes, names),
      shield: shield as Options | undefined,
      insight: insight as Options | undefined,
      common: all,
    }
  }

  /** A file without `limiters` is one limiter, if it has limits. */
  #only(all: Options): Written['written'] {
    if (!limitsAny(all as AnyHttpOptions)) {
      const hasOther = this.#whole.entries.has('shield')
      for (const key of Object.keys(OF_LIMITS)) {
        const at = this.#whole.entries.get(key)?.at
        if (at !== undefined && key !== 'limits')
          this.#problems.add(at, key, `${key} needs limits beside it`)
      }
      if (!hasOther && this.#problems.found.length === 0) {
        const message =
          "a configuration must have limiters, such as { 'limiters': { 'api': { 'limits': '100/minute' } } }"
        this.#problems.add(this.#whole.at, 'limiters', message)
      }
      return new Map()
    }
    return new Map([[ONLY_LIMITER, { own: {}, tree: this.#whole, path: '' }]])
  }

  #limiters(tree: Tree): Written['written'] {
    const problems = this.#problems
    for (const key of Object.keys(OF_LIMITS)) {
      const at = this.#whole.entries.get(key)?.at
      if (at !== undefined)
        problems.add(
          at,
          key,
          `${key} must be in one of limiters: at the top it would hold for none of them`,
        )
    }
    if (tree.kind !== 'map') {
      problems.add(
        tree.at,
        'limiters',
        `limiters must be an object of limiters by name, got ${shown(tree)}`,
      )
      return new Map()
    }
    const count = tree.entries.size
    if (count === 0 || count > MAX_LIMITERS) {
      problems.add(
        tree.at,
        'limiters',
        `limiters must have 1 to ${MAX_LIMITERS} entries, got ${count}`,
      )
      return new Map()
    }
    const limiters = new Map<string, WrittenLimiter>()
    for (const [name, { at, tree: inner }] of tree.entries) {
      const written = this.#limiter(name, inner, at, joined('limiters', name))
      if (written !== undefined) limiters.set(name, written)
    }
    return limiters
  }

  #limiter(name: string, tree: Tree, at: number, path: string): WrittenLimiter | undefined {
    const problems = this.#problems
    if (!isLimiterName(name)) {
      const accepted =
        'a letter, then up to 63 letters, digits, - _ and ., and no word that every object has'
      problems.add(at, path, `the name of a limiter must be ${accepted}, got ${printable(name)}`)
      return undefined
    }
    if (tree.kind !== 'map') {
      problems.add(
        tree.at,
        path,
        `${path} must be an object such as { 'limits': '100/minute' }, got ${shown(tree)}`,
      )
      return undefined
    }
    const own = readOptions(tree, Object.keys(LIMITER_KEYS), path, problems)
    const { concurrent = tree.entries.get('concurrent') ?? false } = own
    if (!tree.entries.has('limits') && concurrent === false) {
      problems.add(
        at,
        path,
        `${path} must have the key limits or concurrent: without it the limiter would refuse no request`,
      )
      return undefined
    }
    return { own, tree, path }
  }

  /** What becomes of requests that no route names: never silently no limit. */
  #rest(routes: readonly Route[], names: readonly string[]): Target {
    const all = routes.find((route) => route.text === ALL)
    if (all !== undefined) return all.target
    const [only] = names
    if (only === undefined) return false
    if (names.length === 1 && routes.length === 0) return only
    if (this.#problems.found.length > 0) return false
    const at = this.#whole.entries.get('routes')?.at ?? this.#whole.at
    const say = `write '${ALL}': '${only}' for a limit, or '${ALL}': false for none`
    this.#problems.add(
      at,
      'routes',
      `routes must have '${ALL}', for the requests that no route names: ${say}`,
    )
    return false
  }

  warnOfUnused({ routes, rest, written }: Written, warnings: Problems): void {
    // Then the limiters are for a program, without HTTP.
    if (rest === false && routes.every(({ target }) => target === false)) return
    const used = new Set([rest, ...routes.map(({ target }) => target)])
    for (const name of written.keys()) {
      if (used.has(name)) continue
      const limiters = this.#whole.entries.get('limiters')?.tree
      const at = limiters?.kind === 'map' ? (limiters.entries.get(name)?.at ?? -1) : -1
      const path = joined('limiters', name)
      warnings.add(at, path, `${path} counts no request: no route names it`)
    }
  }
}
