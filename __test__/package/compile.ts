import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from './command.ts'
import { folderOf } from './place.ts'
import type { ProjectName } from './projects.ts'
import { consumerOf, nameOf } from './subpaths.ts'

/** TypeScript 7 is the checkout's own; 5 is what many users still have. */
export type Compiler = 5 | 7

/** A way to set TypeScript up, and the kinds of source file that it is asked to compile. */
export interface Mode {
  readonly options: Record<string, unknown>
  readonly extensions: readonly string[]
}

export const NODENEXT: Mode = { options: { module: 'nodenext' }, extensions: ['mts', 'cts'] }

/** All checks on, those of the libraries' declarations included. */
const STRICT = { strict: true, skipLibCheck: false, target: 'es2022', types: ['node'] }

/** Compiles the programs of some subpaths in a project, and returns the folder of what came out. */
export async function compile(
  project: ProjectName,
  name: string,
  compiler: Compiler,
  mode: Mode,
  subpaths: readonly string[],
): Promise<string> {
  const folder = join(folderOf(project), name)
  await mkdir(folder)
  for (const extension of mode.extensions) {
    for (const subpath of subpaths) {
      await copyFile(consumerOf(subpath), join(folder, `${nameOf(subpath)}.${extension}`))
    }
  }
  const compilerOptions = { ...STRICT, ...mode.options, rootDir: '.', outDir: 'out' }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  const advice = `TypeScript ${compiler} refuses ${name}. The sources are in __test__/package/consumers.`
  await run(process.execPath, [tscOf(compiler, project), '-p', folder], folder, advice)
  return join(folder, 'out')
}

function tscOf(compiler: Compiler, project: ProjectName): string {
  const root = compiler === 7 ? process.cwd() : folderOf(project)
  return join(root, 'node_modules/typescript/bin/tsc')
}
