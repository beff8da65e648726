import { joined, knownOnly, readShape } from './fits.ts'
import { checkInsight, checkOption, checkShield } from './option.ts'
import { FUNCTIONS, SHIELD_FUNCTIONS, TOP_KEYS } from './table.ts'
import type { Entry, Mapping, Problems, Tree } from './tree.ts'

/** Options as plain data, or with functions if a program has made them. */
export interface Options {
  readonly [name: string]: unknown
  readonly limits?: unknown
  readonly policy?: unknown
  readonly storage?: unknown
  readonly scope?: unknown
  readonly insight?: unknown
}

/** The keys that a file has beside options. */
export const PARTS: readonly string[] = ['limiters', 'routes']
/** Keys whose values are no options of a limiter. */
const OTHERS = ['$schema', 'shield']

/** Reads the options of one object, each alone. Reports what is wrong with them. */
export function readOptions(
  tree: Mapping,
  known: readonly string[],
  path: string,
  problems: Problems,
): Options {
  knownOnly(tree, known, path, problems, FUNCTIONS)
  const options: Record<string, unknown> = Object.create(null)
  for (const [key, entry] of tree.entries) {
    const place = joined(path, key)
    if (path === '' && PARTS.includes(key)) continue
    if (!known.includes(key) && !FUNCTIONS.includes(key)) continue
    const read = readOption(key, entry, place, problems)
    if (read !== undefined) options[key] = read
  }
  return options
}

function readOption(key: string, { at, tree }: Entry, path: string, problems: Problems): unknown {
  if (tree.kind === 'opaque') {
    checkOption(key, tree.value, tree, path, problems)
    return tree.value
  }
  const shape = Object.hasOwn(TOP_KEYS, key) ? TOP_KEYS[key] : undefined
  if (shape === undefined) {
    problems.add(
      at,
      path,
      `${path} must be a function: give it beside config in the program, or use defineConfig`,
    )
    return undefined
  }
  if (key === 'shield') return readShield(tree, path, problems)
  const read = readShape(tree, shape, path, problems)
  if (read !== undefined && key === 'insight') {
    checkInsight(read.value as Options, tree, path, problems)
  } else if (read !== undefined && !OTHERS.includes(key)) {
    checkOption(key, read.value, tree, path, problems)
  }
  return read?.value
}

function readShield(tree: Tree, path: string, problems: Problems): Options | undefined {
  const { shield } = TOP_KEYS
  if (shield === undefined) return undefined
  const functions: Record<string, unknown> = Object.create(null)
  const data = tree.kind === 'map' ? withoutFunctions(tree, functions) : tree
  const read = readShape(data, shield, path, problems)
  if (read === undefined) return undefined
  const options = Object.assign(read.value as Record<string, unknown>, functions)
  checkShield(options, tree, path, problems)
  return options
}

/** @param functions get those that only a program can express */
function withoutFunctions(tree: Mapping, functions: Record<string, unknown>): Mapping {
  const entries = [...tree.entries].filter(([key, { tree: inner }]) => {
    if (inner.kind !== 'opaque' || !SHIELD_FUNCTIONS.includes(key)) return true
    functions[key] = inner.value
    return false
  })
  return { ...tree, entries: new Map(entries) }
}
