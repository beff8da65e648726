import { type Checked, check } from './check.ts'
import type { Environment } from './interpolate.ts'
import { parseJson } from './json.ts'
import { type ConfigProblem, MAX_BYTES, Misplaced, Problems, type Tree, writtenOf } from './tree.ts'

/** What the text of a file says, or what is wrong with it. */
export type Parsed = { readonly tree: Tree; readonly text: string } | readonly ConfigProblem[]

/** Whether it is what is wrong. */
export function isWrong<T extends object>(
  result: T | readonly ConfigProblem[],
): result is readonly ConfigProblem[] {
  return Array.isArray(result)
}

/** @param file its name says the format: .json, .yaml or .yml */
export function parse(bytes: Uint8Array, file: string): Parsed {
  const steps = parseSteps(bytes, file)
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/** Longest turn of a server that reads a file, in milliseconds: then requests have theirs. */
const TURN_MS = 2

/** The same, in turns with all else that the process does. */
export async function parseInTurns(bytes: Uint8Array, file: string): Promise<Parsed> {
  const steps = parseSteps(bytes, file)
  let since = performance.now()
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
    if (performance.now() - since < TURN_MS) continue
    await new Promise((resolve) => setImmediate(resolve))
    since = performance.now()
  }
}

function* parseSteps(bytes: Uint8Array, file: string): Generator<undefined, Parsed> {
  const problems = new Problems(file, '')
  if (bytes.length > MAX_BYTES) {
    return [
      problems.at(
        -1,
        '',
        `a configuration must have at most 1 MB, got ${bytes.length} bytes: is it the right file?`,
      ),
    ]
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    const before = new TextDecoder('utf-8').decode(bytes)
    const at = before.indexOf('\uFFFD')
    const isUtf16 =
      (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
    const hint = isUtf16 ? 'it is UTF-16' : 'it has bytes that are none'
    const message = `a configuration must be UTF-8, and ${hint}: save it as UTF-8`
    return [new Problems(file, before).at(Math.max(0, at), '', message)]
  }
  return yield* textSteps(text, file)
}

function* textSteps(text: string, file: string): Generator<undefined, Parsed> {
  const problems = new Problems(file, text)
  const wrong = strayCharacter(text)
  if (wrong !== undefined) return [problems.at(wrong.at, '', wrong.message)]
  try {
    return { tree: yield* treeSteps(text, file), text }
  } catch (error) {
    if (!(error instanceof Misplaced)) throw error
    return [problems.at(error.at, '', error.message)]
  }
}

const STRAY = /[^\P{Cc}\t\n\r]|[\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/u

/** A character that no editor shows: what the file says would not be what its reader sees. */
function strayCharacter(text: string): Misplaced | undefined {
  if (text.startsWith('\uFEFF')) {
    return new Misplaced(
      0,
      'a configuration must begin without a byte order mark: save it as UTF-8 without BOM',
    )
  }
  const at = text.search(STRAY)
  if (at < 0) return undefined
  const code = text.charCodeAt(at).toString(16).padStart(4, '0')
  return new Misplaced(
    at,
    `a configuration must have no control characters, got U+${code.toUpperCase()}: remove it`,
  )
}

function* treeSteps(text: string, file: string): Generator<undefined, Tree> {
  const isYaml = /\.ya?ml$/i.test(file)
  if (!isYaml && !/\.json$/i.test(file)) {
    throw new Misplaced(-1, 'the name of a configuration file must end in .json, .yaml or .yml')
  }
  if (!isYaml) return parseJson(text)
  const loaded = require('./yaml.js') as typeof import('./yaml.ts')
  return yield* loaded.yamlSteps(text)
}

/** What {@link checkConfig} found. */
export interface CheckResult {
  readonly ok: boolean
  readonly errors: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
  /** What the file says, with variables as it names them; `undefined` if it can't be read. */
  readonly config: unknown
}

/**
 * Checks the text of a configuration file, and opens nothing.
 *
 * @param path its name says the format, and begins each message
 */
export function checkConfig(
  text: string | Uint8Array,
  path: string,
  options: { readonly env?: Environment | undefined } = {},
): CheckResult {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  const parsed = parse(bytes, path)
  if (isWrong(parsed)) return { ok: false, errors: parsed, warnings: [], config: undefined }
  const context = { file: path, text: parsed.text, environment: options.env ?? process.env }
  const checked: Checked | readonly ConfigProblem[] = check(parsed.tree, context)
  const config = writtenOf(parsed.tree)
  if (isWrong(checked)) return { ok: false, errors: checked, warnings: [], config }
  return { ok: true, errors: [], warnings: checked.warnings, config }
}
