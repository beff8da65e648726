import { refuseIdle, refuseIdleForAll } from '../http/idle-options.ts'
import { type AnyHttpOptions, resolveHttpOptions } from '../http/options.ts'
import { figuresOf, type Limit, type LimitInput } from '../limit/limit.ts'
import { readLimits } from '../limit/parse.ts'
import { type ResolvedOptions, resolveOptions, withBurst } from '../options.ts'
import { RateLimiter } from '../rate-limiter.ts'
import { attempt, hasProblem } from './option.ts'
import type { Options } from './options.ts'
import { LIMITER_KEYS } from './table.ts'
import type { Mapping, Problems } from './tree.ts'

/*
 * Looks at the options of each limiter together, once each has been read alone. What several limiters have in common
 * is looked at once, and a mistake in it is reported once.
 */

/** A limiter as a file has it. */
export interface WrittenLimiter {
  /** Its own options. */
  readonly own: Options
  readonly tree: Mapping
  /** Empty where the whole file is this limiter. */
  readonly path: string
}

/** What all limiters of a configuration have in common. */
export interface Common {
  /** Options of the program, for all that the file does not say. */
  readonly base: Options
  /** The options at the top of the file. */
  readonly top: Options
  readonly whole: Mapping
  /** Whether all of it is data, which can be compared as text. */
  readonly isData: boolean
}

/** The options of each limiter, those of the program and of the whole file included. Reports what is wrong with them. */
export function combined(
  written: ReadonlyMap<string, WrittenLimiter>,
  common: Common,
  problems: Problems,
): ReadonlyMap<string, Options> {
  const combination = new Combination(common, problems)
  const limiters = new Map<string, Options>()
  for (const [name, limiter] of written) limiters.set(name, combination.add(name, limiter))
  return limiters
}

class Combination {
  readonly #common: Common
  readonly #problems: Problems
  /** Keys at the top that are wrong alone: what they do in each limiter need not be said. */
  readonly #wrong: readonly string[]
  /** What the options of limiters say together, by these options without their limits. */
  readonly #known = new Map<string, ResolvedOptions>()
  readonly #reported = new Set<string>()

  constructor(common: Common, problems: Problems) {
    this.#common = common
    this.#problems = problems
    const given = [...common.whole.entries.keys()].filter((key) => Object.hasOwn(LIMITER_KEYS, key))
    this.#wrong = given.filter((key) => hasProblem(problems, key))
  }

  add(name: string, { own, tree, path }: WrittenLimiter): Options {
    const { base, top } = this.#common
    const options: Options = { ...base, ...top, ...own }
    const isWhole = path === ''
    const inherits = this.#wrong.some((key) => isWhole || !tree.entries.has(key))
    // What is wrong alone is reported already.
    if (inherits || (!isWhole && hasProblem(this.#problems, path))) return options
    try {
      if (isWhole) refuseIdleForAll(top)
      else refuseIdle(own, options)
      this.#check(options, own)
    } catch (error) {
      const key = keyOf(error)
      if (isWhole || tree.entries.has(key) || !this.#isCommon(error)) {
        attempt(tree, isWhole ? name : path, this.#problems, () => rethrow(error))
      } else this.#report(key, error)
    }
    return options
  }

  #check(options: Options, own: Options): void {
    const { limits, policy = [] } = options
    const counting = this.#resolved(options, own)
    if (typeof limits === 'function' || limits === undefined) return
    const parsed = readLimits(limits, 'limits')
    checkCounting(parsed, counting)
    const names = [policy].flat().length
    if (names <= parsed.length) return
    throw new RangeError(
      `policy must be at most one name per limit (${parsed.length}), got ${names}`,
    )
  }

  /** Options that differ from those of another limiter in nothing but what matters to no other option are not read. */
  #resolved(options: Options, own: Options): ResolvedOptions {
    const known = this.#common.isData ? likenessOf(own) : undefined
    const found = known === undefined ? undefined : this.#known.get(known)
    if (found !== undefined) return found
    const { onMismatch: _, ...limiter } = resolveHttpOptions(options as AnyHttpOptions).limiter
    const resolved = resolveOptions(limiter)
    if (known !== undefined) this.#known.set(known, resolved)
    return resolved
  }

  /** Whether it is what the program and the top of the file say, whatever a limiter says. */
  #isCommon(error: unknown): boolean {
    const { base, top } = this.#common
    try {
      resolveHttpOptions({ ...base, ...top } as AnyHttpOptions)
      return false
    } catch (other) {
      return saidBy(other) === saidBy(error)
    }
  }

  #report(key: string, error: unknown): void {
    const said = saidBy(error)
    if (this.#reported.has(said)) return
    this.#reported.add(said)
    const tree = this.#common.whole.entries.get(key)?.tree
    attempt(tree ?? { kind: 'list', at: -1, items: [] }, key, this.#problems, () => rethrow(error))
  }
}

/** Read alone, and without a meaning for other options. */
const ALONE: readonly string[] = ['limits', 'policy', 'status', 'message']
/** Of these only matters that they are there. */
const NAMES: readonly string[] = ['name', 'scope']

function likenessOf(own: Options): string {
  return JSON.stringify(own, (key, value: unknown) => {
    if (ALONE.includes(key)) return undefined
    return NAMES.includes(key) ? true : value
  })
}

function saidBy(error: unknown): string {
  return error instanceof Error ? error.message : 'is not accepted'
}

/** `trust[0] must be ...` is about the key trust. */
function keyOf(error: unknown): string {
  return /^\w*/.exec(saidBy(error))?.[0] ?? ''
}

function rethrow(error: unknown): never {
  throw error
}

function checkCounting(limits: readonly Limit[], resolved: ResolvedOptions): void {
  const all = withBurst(limits, resolved)
  const { algorithm } = resolved
  const known = `${algorithm} ${figuresOf(all)}`
  if (TRIED.has(known)) return
  // Only the core knows which limits an algorithm counts exactly.
  new RateLimiter(all as LimitInput, { algorithm, capacity: 1 }).close()
  if (TRIED.size >= MAX_TRIED) TRIED.clear()
  TRIED.add(known)
}

/** Limits that the core has accepted: most are the same in each version of a file. */
const TRIED = new Set<string>()
const MAX_TRIED = 1_000
