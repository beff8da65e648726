import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { ROOT, run } from '../fixtures/child.ts'

/** What a process of `act.mjs` should do. */
export interface Act {
  readonly limits: string
  readonly options: Readonly<Record<string, unknown>>
  readonly checks?: number
  readonly key?: string
  /** Become this user first. */
  readonly uid?: number
  readonly stay?: boolean
}

/** What a process of `act.mjs` reports. */
export interface Acted {
  readonly admitted?: number
  readonly storage?: string
  readonly code?: string
  readonly name?: string
  readonly message?: string
  readonly warnings: readonly string[]
}

interface Entry {
  readonly file: string
  readonly table?: { readonly name: string }
}

const require = createRequire(join(ROOT, 'package.json'))
const binding = require('./crate/napi/binding.cjs') as {
  sharedList(): Entry[]
  sharedRemove(file: string): void
}

/** The directory of this user's shared tables. */
export const DIRECTORY: string = `/dev/shm/ratethrottle-${process.geteuid?.()}`

const made: string[] = []

/** A name that no other test uses; what is shared under it is removed when the file's tests are over. */
export function freshName(): string {
  const name = `test ${process.pid} ${made.length}`
  made.push(name)
  return name
}

afterAll(() => {
  for (const { file, table } of binding.sharedList()) {
    const isOurs = made.some((name) => table?.name === name || table?.name.startsWith(`${name} `))
    if (isOurs) binding.sharedRemove(file)
  }
})

/** The file of the table with this name. */
export function fileOf(name: string): string {
  const found = binding.sharedList().find(({ table }) => table?.name === name)
  if (found === undefined) throw new Error(`nothing is shared as ${name}`)
  return join(DIRECTORY, found.file)
}

/** Runs a process that shares. */
export async function act(what: Act): Promise<Acted> {
  const { code, out, err } = await run('shared/act.mjs', [JSON.stringify(what)])
  if (code !== 0) throw new Error(`exit code ${code}: ${err}`)
  return JSON.parse(out)
}

/** Starts a process that stays until it is killed, and waits until it has done its checks. */
export async function actAndStay(what: Act): Promise<[ChildProcess, Acted]> {
  const file = join(ROOT, '__test__/shared/act.mjs')
  const child = spawn(process.execPath, [file, JSON.stringify({ ...what, stay: true })])
  const acted = await new Promise<Acted>((resolve, reject) => {
    child.stdout.once('data', (data) => resolve(JSON.parse(String(data))))
    child.once('exit', (code) => reject(new Error(`exit code ${code}`)))
  })
  return [child, acted]
}

/** Runs a process in new namespaces, which the shell commands prepare. Needs `unshare`. */
export function actWhere(flags: string, commands: string, what: Act): Acted {
  const script = `${commands}\nexec "$0" "$1" "$2"`
  const file = join(ROOT, '__test__/shared/act.mjs')
  const args = [...flags.split(' '), 'sh', '-ec', script, process.execPath, file]
  return JSON.parse(execFileSync('unshare', [...args, JSON.stringify(what)], { encoding: 'utf8' }))
}

/** Whether this user may create namespaces. */
export function mayUnshare(): boolean {
  try {
    execFileSync('unshare', ['-m', 'true'], { stdio: 'ignore' })
    return process.platform === 'linux'
  } catch {
    return false
  }
}
