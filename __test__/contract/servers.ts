import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../fixtures/child.ts'
import { freePort, untilListening } from '../redis/server.ts'

/** A server that a test has started for itself, on a free port of 127.0.0.1. */
export interface StoreServer {
  readonly port: number
  /** Freezes or resumes it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  stop(): Promise<void>
}

/** A user and a group, by number. */
interface Identity {
  readonly uid: number
  readonly gid: number
}

const running = new Set<ChildProcess>()

// If a test file ends early, no server outlives it.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export async function startMemcached(): Promise<StoreServer> {
  const port = await freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []
  const args = ['-l', '127.0.0.1', '-p', String(port), '-U', '0', '-m', '64', ...user]
  return launch('memcached', args, port, {})
}

/** Postgres in a new folder. It refuses to run as root: then it runs as the user postgres. */
export async function startPostgres(): Promise<StoreServer> {
  const scripts = await import(join(ROOT, 'scripts/postgres-folder.mjs'))
  const bin: string | undefined = scripts.postgresFolder()
  if (bin === undefined) throw missing('postgresql')
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-postgres-'))
  const identity = process.getuid?.() === 0 ? postgresUser() : undefined
  if (identity !== undefined) chownSync(folder, identity.uid, identity.gid)
  const options = { cwd: folder, ...identity }
  const make = ['-D', 'data', '-U', 'postgres', '-A', 'trust', '--locale=C', '-E', 'UTF8', '-N']
  execFileSync(join(bin, 'initdb'), make, { ...options, stdio: 'ignore' })
  const settings = ['fsync=off', 'shared_buffers=16MB', 'max_connections=60']
  const where = ['-D', 'data', '-k', folder, '-h', '127.0.0.1', '-p', String(port)]
  const args = [...where, ...settings.flatMap((setting) => ['-c', setting])]
  return launch(join(bin, 'postgres'), args, port, options, folder)
}

function postgresUser(): Identity {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function launch(
  program: string,
  args: readonly string[],
  port: number,
  options: object,
  folder?: string,
): Promise<StoreServer> {
  const child = spawn(program, args, { stdio: 'ignore', ...options })
  running.add(child)
  child.once('exit', () => running.delete(child))
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', () => reject(missing(program)))
  })
  await untilListening(port)
  return {
    port,
    signal: (signal) => child.kill(signal),
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGCONT')
      // Of Postgres: at once, and its children too.
      child.kill('SIGQUIT')
      if (child.exitCode === null && child.signalCode === null) await ended
      if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
    },
  }
}

function missing(program: string): Error {
  return new Error(`these tests need ${program}: node scripts/programs.mjs says how to install it`)
}
