import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { COMMANDS as commands } from '../../ts/cli/commands.ts'
import { ROOT } from '../fixtures/child.ts'
import type { Block, Page } from './pages.ts'

// A program is one code block or several, with what comments around them add for the compiler alone:
//
//   ```ts                       compiled, strictly
//   ```ts run                   compiled and run: it must end by itself, with exit code 0
//   ```ts continues             part of the program that the block before it began
//   ```ts unchecked="reason"    neither; the reason is for the next writer
//   ```text output              what the program before it prints
//   <!-- given ... -->          code in front of the next block that readers do not see
//   <!-- given each ... -->     code in front of every later block of the page
//   <!-- then ... -->           code after the block before it that readers do not see
//
// Each line keeps its number, so an error at (12,3) is on line 12 of the page.

/** The mark that a block of code may carry. */
export const MARK = /^(run|continues|unchecked="[^"]{10,}")?$/
export const CODE = ['ts', 'tsx', 'js']

export interface Program {
  /** Where it stands, such as `docs/guides/fastify.md:12`. */
  readonly name: string
  readonly file: string
  readonly text: string
  readonly isRun: boolean
  /** What it has to print, where the page says so. */
  readonly output?: string
}

/** The result of a program that ran. */
export interface Ended {
  readonly code: number | string | null | undefined
  readonly out: string
  readonly err: string
}

interface Draft {
  readonly first: Block
  readonly lines: string[]
  output?: string
}

/** The programs of a page. */
export function programsOf(page: Page): readonly Program[] {
  const drafts: Draft[] = []
  let given: readonly Lines[] = []
  const each: Lines[] = []
  for (const segment of segmentsOf(page)) {
    const last = drafts.at(-1)
    if (segment.kind === 'given') given = [...given, segment]
    else if (segment.kind === 'given each') each.push(segment)
    else if (segment.kind === 'then') copy(last, segment, page)
    else if (segment.block.mark === 'output') {
      if (last !== undefined) last.output = segment.block.code
    } else if (isCode(segment.block)) {
      const continues = segment.block.mark === 'continues'
      const draft = continues && last !== undefined ? last : { first: segment.block, lines: [] }
      if (draft !== last) drafts.push(draft)
      for (const part of [...(continues ? [] : each), ...given, segment]) copy(draft, part, page)
      given = []
    }
  }
  return drafts.map((draft) => programOf(page, draft))
}

/**
 * Compiles programs into a new folder, with one run of the compiler. Removes it afterwards.
 *
 * @param more options of the compiler
 */
export async function compiled<T>(
  programs: readonly Program[],
  use: (errors: readonly string[], folder: string) => Promise<T> | T,
  more: object = {},
): Promise<T> {
  // Inside the package, where its own name leads to it. Git does not track that folder.
  mkdirSync(join(ROOT, 'target'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, 'target', 'docs-'))
  try {
    for (const { file, text } of programs) writeFileSync(join(folder, file), text)
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...OPTIONS, ...more } }),
    )
    return await use(await errorsOf(folder, programs), join(folder, 'out'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Runs a compiled program. */
export function runProgram(program: Program, folder: string): Promise<Ended> {
  const file = join(folder, program.file.replace(/\.mts$/, '.mjs'))
  const options = { timeout: 110_000, cwd: ROOT, env: { ...process.env, PORT: '0' } }
  return new Promise((resolve) => {
    execFile(process.execPath, [file], options, (error, out, err) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal), out, err })
    })
  })
}

/** The errors in the commands of a shell block, or of a line of prose. */
export function wrongCommands(text: string, scripts: readonly string[]): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const command = line.replace(/^\$ /, '').replace(/(^|\s)#.*$/, '')
    const [, script] = /\bnpm (?:run (?:-s )?|(?=start\b|test\b))([\w:-]+)/.exec(command) ?? []
    if (script !== undefined && !scripts.includes(script)) return [`no script named ${script}`]
    const [, file] = /\bnode (?:--\S+ )*([\w./-]+\.m?[jt]s)\b/.exec(command) ?? []
    const isOurs = file !== undefined && /^(examples|scripts|bench)\//.test(file)
    if (isOurs && !existsSync(join(ROOT, file))) return [`no file named ${file}`]
    const [, test] = /\bnpx vitest run ([\w./-]+)/.exec(command) ?? []
    if (test !== undefined && !existsSync(join(ROOT, test))) return [`no test named ${test}`]
    const [, area] = /\bnpx ratethrottle (\S+)/.exec(command) ?? []
    return area === undefined || COMMANDS.includes(area) ? [] : [`no command named ${area}`]
  })
}

const COMMANDS: readonly string[] = [...commands.keys(), '--help']

const OPTIONS = {
  strict: true,
  exactOptionalPropertyTypes: true,
  module: 'nodenext',
  target: 'es2022',
  jsx: 'preserve',
  allowJs: true,
  checkJs: true,
  rootDir: '.',
  outDir: 'out',
  skipLibCheck: true,
  types: ['node'],
}

interface Lines {
  readonly from: number
  readonly to: number
}

type Segment =
  | (Lines & { readonly kind: 'given' })
  | (Lines & { readonly kind: 'given each' })
  | (Lines & { readonly kind: 'then' })
  | (Lines & { readonly kind: 'block'; readonly block: Block })

/** Blocks, and comments for the compiler, in the order of the page; lines from `from` up to `to`. */
function segmentsOf(page: Page): readonly Segment[] {
  const blocks = page.blocks.map((block): Segment => {
    const from = block.line
    return { kind: 'block', from, to: from + block.code.split('\n').length, block }
  })
  const inBlock = (i: number) => blocks.some(({ from, to }) => from <= i && i < to)
  const comments = page.lines.flatMap((line, i): Segment[] => {
    const [, kind] = /^<!-- (given|given each|then)$/.exec(line) ?? []
    if (!isKind(kind) || inBlock(i)) return []
    const to = page.lines.indexOf('-->', i)
    if (to < 0) throw new Error(`${page.path}:${i + 1}: the comment must end with a line -->`)
    return [{ kind, from: i + 1, to }]
  })
  return [...blocks, ...comments].sort((a, b) => a.from - b.from)
}

function isKind(text: string | undefined): text is 'given' | 'given each' | 'then' {
  return text === 'given' || text === 'given each' || text === 'then'
}

function isCode({ language, mark }: Block): boolean {
  return CODE.includes(language) && !mark.startsWith('unchecked')
}

function copy(draft: Draft | undefined, { from, to }: Lines, page: Page): void {
  if (draft === undefined) throw new Error(`${page.path}:${from}: no block of code before it`)
  for (let i = from; i < to; i++) draft.lines[i] = page.lines[i] ?? ''
}

function programOf(page: Page, { first, lines, output }: Draft): Program {
  const name = `${page.path}:${first.line}`
  const extension = { ts: 'mts', js: 'mjs' }[first.language] ?? first.language
  const file = `${name.replaceAll(/[^\w]+/g, '-')}.${extension}`
  // A module even without imports, so that no two programs share a scope.
  const text = `${Array.from(lines, (line) => line ?? '').join('\n')}\nexport {}\n`
  const program = { name, file, text, isRun: first.mark === 'run' }
  return output === undefined ? program : { ...program, output }
}

/** What the compiler says, with the page in place of the file. */
async function errorsOf(folder: string, programs: readonly Program[]): Promise<readonly string[]> {
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], (_, out) =>
      resolve(out),
    )
  })
  const errors = said.split('\n').filter((line) => line.includes('error TS'))
  return errors.map((line) => {
    const program = programs.find(({ file }) => line.includes(`${file}(`))
    const [, place = '', text = ''] = /\((\d+,\d+)\): error (.*)$/.exec(line) ?? []
    return program === undefined ? line : `${program.name.replace(/:\d+$/, '')}(${place}): ${text}`
  })
}
