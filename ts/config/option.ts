import { checkRedisOptions, REDIS_OPTIONS } from '../create.ts'
import { READERS } from '../http/options.ts'
import { readLimits } from '../limit/parse.ts'
import { resolveOptions } from '../options.ts'
import { isLimiter, isRedisStorage, isStore, readRedisUrl } from '../storage-url.ts'
import { namesOf } from './fits.ts'
import type { Options } from './options.ts'
import { eachScalar, type Problems, type Tree } from './tree.ts'

/*
 * What the readers of the adapters' options say about the values of a file. Each option is read alone first, so that
 * all mistakes are found at once and each has its line.
 */

/** Reports what the option's own reader says about a value. */
export function checkOption(
  key: string,
  value: unknown,
  tree: Tree,
  path: string,
  problems: Problems,
): void {
  // Most values are those of the limiter before, and of the version before. One of the environment is not kept.
  const isPlain = tree.kind === 'scalar' && tree.from === undefined
  const known = isPlain ? `${key} ${typeof value} ${value}` : ''
  if (READ.has(known)) return
  const count = problems.found.length
  attempt(tree, path, problems, () => {
    if (key === 'limits' && typeof value !== 'function') readLimits(value as string, 'limits')
    else if (key === 'storage') checkStorage(value)
    else if (key === 'blockFor' && !Array.isArray(value))
      resolveOptions({ blockFor: value as string })
    else if (Object.hasOwn(READERS, key)) (READERS as Readers)[key]?.(value, key)
    else if (REDIS_OPTIONS.includes(key)) checkRedisOptions({ [key]: value })
    // Has a meaning beside others only: they are read together.
    else if (key !== 'onMismatch') resolveOptions({ [key]: value })
  })
  if (!isPlain || problems.found.length > count || problems.isFull) return
  if (READ.size >= MAX_TRIED) READ.clear()
  READ.add(known)
}

/** Values that their readers have accepted. */
const READ = new Set<string>()
const MAX_TRIED = 1_000

type Readers = Readonly<Record<string, (value: unknown, name: string) => unknown>>

function checkStorage(value: unknown): void {
  if (isStore(value) || isLimiter(value)) {
    throw new TypeError(
      'storage must be a URL or a client of ioredis: what a key has used in another store would be lost with a reload',
    )
  }
  // A client of ioredis has read its own.
  if (isRedisStorage(value) && typeof value === 'string') readRedisUrl(value)
}

/** Whether something is wrong with what stands there. */
export function hasProblem({ found }: Problems, path: string): boolean {
  return found.some(
    (one) =>
      one.path === path || one.path.startsWith(`${path}.`) || one.path.startsWith(`${path}[`),
  )
}

/** Reports what is wrong with the options of a shield. The shield is loaded for those who have one only. */
export function checkShield(options: Options, tree: Tree, path: string, problems: Problems): void {
  attempt(tree, path, problems, () => {
    const loaded = require('../shield/options.js') as typeof import('../shield/options.ts')
    loaded.resolveShieldOptions(options as object)
  })
}

/** The same for an insight. */
export function checkInsight(options: Options, tree: Tree, path: string, problems: Problems): void {
  attempt(tree, path, problems, () => {
    const loaded = require('../insight/options.js') as typeof import('../insight/options.ts')
    loaded.readInsightOptions(options as object)
  })
}

/** Reports an error with its place: of the part that it names, if it names one. */
export function attempt(tree: Tree, path: string, problems: Problems, work: () => void): void {
  try {
    work()
  } catch (error) {
    const said = error instanceof Error ? error.message : 'is not accepted'
    problems.add(placeIn(tree, said), path, messageOf(said, tree, path))
  }
}

/** `burst must be ...` is about the key burst, and `failures.min must be` about one within it. */
function placeIn(tree: Tree, said: string): number {
  if (tree.kind !== 'map') return tree.at
  const [words = ''] = said.split(/[ :]/, 1)
  let at: Tree = tree
  for (const word of words.split('.')) {
    if (at.kind !== 'map') break
    const entry = at.entries.get(word.replace(/\[\d+\]$/, ''))
    if (entry === undefined) break
    at = entry.tree
  }
  return at.at
}

/** The message with the path before it, and without what the environment says. */
function messageOf(said: string, tree: Tree, path: string): string {
  const key = path.slice(path.lastIndexOf('.') + 1)
  const own =
    said.startsWith(`${key} `) || said.startsWith(`${key}[`) ? said.slice(key.length) : `: ${said}`
  const names = new Set<string>()
  eachScalar(tree, ({ from = [] }) => {
    for (const name of from) names.add(name)
  })
  if (names.size === 0) return `${path}${own}`
  // What was given is a value of the environment.
  const [start = ''] = own.split(', got ', 1)
  const isQuoted = start.startsWith(': Invalid')
  const shown = isQuoted ? ' must be a limit or a duration that can be read' : start
  return `${path}${shown}, got what ${namesOf([...names])} says`
}
