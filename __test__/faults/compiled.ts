import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = process.cwd()
const OPTIONS = {
  strict: true,
  module: 'nodenext',
  target: 'es2022',
  noEmit: true,
  skipLibCheck: true,
  types: ['node'],
}

/** What the compiler says about a program that uses the package by its name: one text an error. */
export async function diagnosticsOf(program: string): Promise<readonly string[]> {
  // Inside the package, where its own name leads to it. Git does not track that folder.
  mkdirSync(join(ROOT, 'target'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, 'target', 'compiled-'))
  try {
    writeFileSync(join(folder, 'program.mts'), program)
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: OPTIONS }))
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const said = await new Promise<string>((resolve) => {
      execFile(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], (_, out) =>
        resolve(out),
      )
    })
    return said.split('\n').filter((line) => line.includes('error TS'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
