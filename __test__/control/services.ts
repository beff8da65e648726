import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

/** What a process of `service.mjs` should do. */
export interface Asked {
  readonly control: unknown
  readonly uid?: number
  readonly umask?: number
  readonly leave?: boolean
  /** Of the environment. */
  readonly runtime?: string
}

/** What it reports. */
export interface Service {
  readonly pid: number
  readonly path: string
  readonly isReady?: boolean
  readonly code?: string
  readonly message?: string
  readonly warnings: readonly string[]
  readonly child: ChildProcess
}

const services: ChildProcess[] = []
afterEach(async () => {
  for (const child of services.splice(0)) await stop(child)
})

/** Starts a process with a control socket. */
export async function serve({ runtime, ...asked }: Asked): Promise<Service> {
  const script = join(ROOT, '__test__/control/service.mjs')
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime ?? '' }
  const child = spawn(process.execPath, [script, JSON.stringify(asked)], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  services.push(child)
  const ended = once(child, 'exit').then(() => {
    throw new Error('the process with the control socket ended')
  })
  const [line] = await Promise.race([once(child.stdout, 'data'), ended])
  ended.catch(() => {})
  return { ...JSON.parse(line), child }
}

/** Ends a process. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** An empty directory. */
export function folder(mode = 0o700): string {
  const made = mkdtempSync(join(tmpdir(), 'control-'))
  chmodSync(made, mode)
  folders.push(made)
  return made
}

/** Sends text to a socket as it is, and gives what comes back until the socket is closed or `lines` have come. */
export function exchange(path: string, text: string, lines = 1): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let got = ''
    const done = (): void => {
      socket.destroy()
      const complete = got.split('\n').slice(0, -1)
      resolve(complete.map((line) => JSON.parse(line) as unknown))
    }
    socket.on('error', reject)
    socket.on('close', done)
    socket.on('data', (chunk) => {
      got += chunk
      if (got.split('\n').length > lines) done()
    })
    socket.write(text)
  })
}
