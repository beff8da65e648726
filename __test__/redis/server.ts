import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'

const SETTINGS = [
  '--bind',
  '127.0.0.1',
  '--save',
  '',
  '--appendonly',
  'no',
  '--protected-mode',
  'no',
]
/** Another server that speaks the protocol, such as Valkey's: see scripts/valkey.mjs. */
const { RATETHROTTLE_REDIS_SERVER: SERVER = 'redis-server' } = process.env

/** The password of the tests' clusters and Sentinels, and the user of docs/guides/cluster-and-redis.md. */
export const GUARD = { password: 'admin', user: 'limiter', userPassword: 'password' } as const

/** Settings of a server with that password and user. */
export function guardSettings(): string[] {
  const { password, user } = GUARD
  const own = ['--requirepass', password, '--masterauth', password]
  return [...own, '--user', user, ...documentedRule()]
}

/** The ACL rule of docs/guides/cluster-and-redis.md, as a list of words. */
export function documentedRule(): string[] {
  const page = readFileSync(join(process.cwd(), 'docs/guides/cluster-and-redis.md'), 'utf8')
  const [, rule = ''] = /```text\n(ACL SETUSER [^`]*)```/.exec(page) ?? []
  return rule.trim().split(/\s+/).slice(3)
}

/** A redis-server that a test has started for itself. */
export interface Server {
  readonly port: number
  readonly url: string
  /** A client for the test, with the defaults of ioredis. */
  readonly admin: Redis
  /** Freezes, resumes or kills it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  /** After it was killed: starts it again, empty, on the same port. */
  restart(...settings: string[]): Promise<void>
  stop(): Promise<void>
}

/**
 * A port on which no server listens. It is not one of those that the system gives to servers on port 0: another
 * test could be given it before this one's server has started. And each of vitest's workers has its own, so that no two
 * find the same one.
 */
export async function freePort(): Promise<number> {
  const { VITEST_POOL_ID: worker = '1' } = process.env
  const first = 10_000 + (Number(worker) % 6) * 2_000
  for (let i = 0; i < 100; i++) {
    // A cluster node also listens 10,000 above its port: that is below the system's range, too.
    const port = randomInt(first, first + 2_000)
    const server = createServer()
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error(`no free port from ${first} on`)
}

/** Starts a server on a free port. The caller stops it. */
export async function startServer(...settings: string[]): Promise<Server> {
  return startServerOn(await freePort(), ...settings)
}

/** Starts a server on this port. The caller stops it. */
export async function startServerOn(port: number, ...settings: string[]): Promise<Server> {
  const server = new OwnServer(port, settings)
  await server.start()
  return server
}

/** Starts a server for one test. */
export async function serverForTest(...settings: string[]): Promise<Server> {
  const server = await startServer(...settings)
  onTestFinished(() => server.stop())
  return server
}

const running = new Set<ChildProcess>()

// If a test file ends early, no server outlives it.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a redis-server with these arguments. */
export async function launch(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(SERVER, args, { stdio: 'ignore' })
  running.add(child)
  child.once('exit', () => running.delete(child))
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => {
      const message =
        'these tests need redis-server: install the package "redis-server" (or "redis")'
      reject(new Error(message, { cause }))
    })
  })
  return child
}

class OwnServer implements Server {
  readonly port: number
  readonly #settings: readonly string[]
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'ratethrottle-redis-'))
  #process: ChildProcess | undefined
  #admin: Redis | undefined

  constructor(port: number, settings: readonly string[]) {
    this.port = port
    this.#settings = settings
  }

  get url(): string {
    const user = this.#password === '' ? '' : `:${this.#password}@`
    return `redis://${user}127.0.0.1:${this.port}/0`
  }

  /** Of the default user, as the settings have it. */
  get #password(): string {
    const at = this.#settings.indexOf('--requirepass')
    return at < 0 ? '' : (this.#settings[at + 1] ?? '')
  }

  get admin(): Redis {
    if (this.#admin === undefined) {
      const password = this.#password
      const guard = password === '' ? {} : { password }
      this.#admin = new Redis(this.port, '127.0.0.1', { retryStrategy: () => 50, ...guard })
      this.#admin.on('error', () => {})
    }
    return this.#admin
  }

  async start(settings: readonly string[] = this.#settings): Promise<void> {
    const where = ['--port', String(this.port), '--dir', this.#directory]
    this.#process = await launch([...SETTINGS, ...where, ...settings])
    await untilListening(this.port)
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void {
    this.#process?.kill(signal)
  }

  async restart(...settings: string[]): Promise<void> {
    await this.#ended('SIGKILL')
    await this.start([...this.#settings, ...settings])
  }

  async stop(): Promise<void> {
    this.#admin?.disconnect()
    await this.#ended('SIGKILL')
    rmSync(this.#directory, { recursive: true, force: true })
  }

  async #ended(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = once(child, 'exit')
    child.kill(signal)
    await closed
  }
}

/** Waits until a server listens on the port. */
export async function untilListening(port: number): Promise<void> {
  const end = Date.now() + PATIENCE
  while (!(await isListening(port))) {
    if (Date.now() > end) throw new Error(`redis-server does not listen on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = createConnection(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
