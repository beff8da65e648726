import { printable } from '../validate.ts'
import { joined } from './fits.ts'
import { type Entry, MAX_TEXT, type Problems, type Scalar, type Tree } from './tree.ts'

/*
 * `${NAME}` and `${NAME:-default}` in texts. There is nothing else: a value of the environment is not looked into
 * again, and no key, number or comment is changed.
 */

export type Environment = Readonly<Record<string, string | undefined>>

/** `$${`, or `${NAME}`, or `${NAME:-default}`, or a `${` that is neither. */
const PART = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]{0,127})(?::-([^{}]*))?\}|\$\{/g

/** The whole text is one variable: then it may also stand for a number, true or false. */
const WHOLE = /^\$\{[^{}]*\}$/

/** The tree with the variables' values in place of their names. Reports those that are missing. */
export function interpolated(
  tree: Tree,
  environment: Environment,
  problems: Problems,
  path = '',
): Tree {
  if (tree.kind === 'scalar') return scalar(tree, environment, problems, path)
  if (tree.kind === 'list') {
    const items = tree.items.map((item, i) =>
      interpolated(item, environment, problems, `${path}[${i}]`),
    )
    return { ...tree, items }
  }
  if (tree.kind === 'opaque') return tree
  const entries = new Map<string, Entry>()
  for (const [key, { at, tree: inner }] of tree.entries) {
    entries.set(key, { at, tree: interpolated(inner, environment, problems, joined(path, key)) })
  }
  return { ...tree, entries }
}

function scalar(tree: Scalar, environment: Environment, problems: Problems, path: string): Tree {
  const { value, at } = tree
  if (typeof value !== 'string' || !value.includes('${')) return tree
  const from = new Set<string>()
  const text = value.replace(PART, (part: string, name: string | undefined, otherwise?: string) => {
    if (part === '$${') return '${'
    if (name === undefined) {
      const message = `${path} must have a name in \${NAME} or \${NAME:-default}; write $\${ for the two characters themselves`
      problems.add(at, path, message)
      return part
    }
    const found = Object.hasOwn(environment, name) ? environment[name] : undefined
    // As a shell has it with `:-`: an empty variable counts as not set.
    if (otherwise !== undefined && (found === undefined || found === '')) return otherwise
    from.add(name)
    if (found !== undefined) return found
    const message = `${path}: the environment must have the variable ${name}; write \${${name}:-default} if it may be missing`
    problems.add(at, path, message)
    return part
  })
  if (text.length > MAX_TEXT) {
    problems.add(at, path, `${path} must have at most ${MAX_TEXT} characters with its variables`)
    return tree
  }
  const names = from.size === 0 ? undefined : [...from]
  const plain = WHOLE.test(value) ? plainOf(text) : undefined
  return { ...tree, value: text, plain, from: names, written: value }
}

/** What a variable stands for that is all of a value: YAML and JSON have numbers, an environment has only texts. */
function plainOf(text: string): number | boolean | undefined {
  if (text === 'true' || text === 'false') return text === 'true'
  const isNumber = /^(?:0|-?[1-9]\d{0,14})(?:\.\d{1,15})?$/.test(text)
  return isNumber ? Number(text) : undefined
}

/** A text for a message: without the values of these variables. */
export function withoutValues(
  message: string,
  names: Iterable<string>,
  environment: Environment,
): string {
  let safe = message
  for (const name of names) {
    const value = environment[name]
    // A word that options have, or a number, is no secret; and to hide it would hide what is accepted.
    if (value === undefined || value.length < 3 || /^(?:[a-z_-]{1,24}|\d+)$/.test(value)) continue
    for (const form of [value, printable(value).slice(1, -1)]) {
      safe = safe.replaceAll(form, `\${${name}}`)
    }
  }
  return safe
}
