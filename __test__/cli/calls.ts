import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll } from 'vitest'
import { call as run } from '../../dist/cli/run.js'
import { ROOT } from '../fixtures/child.ts'

const MAIN = join(ROOT, 'dist/cli/main.js')

/** An empty directory, which is removed when the file's tests are over. */
export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'cli-'))
  afterAll(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** Where the sockets of this file's processes lie, and no others. */
export const RUNTIME: string = mkdtempSync(join(tmpdir(), 'cli-run-'))
afterAll(() => rmSync(RUNTIME, { recursive: true, force: true }))
Object.assign(process.env, { XDG_RUNTIME_DIR: RUNTIME })

/** How a call of `ratethrottle` ended. */
export interface Called {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Where and how a call is made. */
export interface Place {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

/** Calls `ratethrottle`. */
export async function call(args: readonly string[], { cwd, env }: Place = {}): Promise<Called> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...process.env, XDG_RUNTIME_DIR: RUNTIME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 200_000,
  })
  const ended = { out: '', err: '' }
  child.stdout.on('data', (data) => {
    ended.out += data
  })
  child.stderr.on('data', (data) => {
    ended.err += data
  })
  const [code] = await once(child, 'close')
  return { code, ...ended }
}

/** The same with another environment. Not for calls at the same time. */
export async function callWith(env: NodeJS.ProcessEnv, words: readonly string[]): Promise<Called> {
  const before = { ...process.env }
  Object.assign(process.env, env)
  try {
    return await callHere(...words)
  } finally {
    for (const name of Object.keys(env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
}

/** The same in this process, which saves the time that a new one takes. It has the environment of this process. */
export async function callHere(...words: readonly string[]): Promise<Called> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const code = await run(words, { stdout, stderr })
  const read = (stream: PassThrough): string => String(stream.read() ?? '')
  return { code, out: read(stdout), err: read(stderr) }
}

/** A call in this process with `--json`, read. */
export async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await callHere(...args, '--json')
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`)
  return JSON.parse(out) as T
}

const children: ChildProcess[] = []
afterAll(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

/** A server that runs. */
export interface Service {
  readonly pid: number
  readonly url: string
  readonly child: ChildProcess
}

/** Starts a real server with a control socket. */
export async function serve(options: object = {}, env: NodeJS.ProcessEnv = {}): Promise<Service> {
  const script = join(ROOT, '__test__/cli/service.mjs')
  const child = spawn(process.execPath, [script, JSON.stringify(options)], {
    env: { ...process.env, XDG_RUNTIME_DIR: RUNTIME, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  const ended = once(child, 'exit').then(() => {
    throw new Error('the server ended')
  })
  const [line] = await Promise.race([once(child.stdout, 'data'), ended])
  ended.catch(() => {})
  return { ...JSON.parse(line), child }
}

/** The status that a server answers a client with. */
export async function ask({ url }: Service, key = '203.0.113.9'): Promise<number> {
  const response = await fetch(url, { headers: { 'x-key': encodeURIComponent(key) } })
  await response.text()
  return response.status
}
