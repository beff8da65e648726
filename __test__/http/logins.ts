import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { serverForTest } from '../redis/server.ts'

export interface Answer {
  readonly status: number
  readonly retryAfter: number | undefined
}

/** A separate process that serves logins, see login-server.mjs. */
export interface LoginServer {
  /** Asks for `/good` or `/bad`, whose handler takes `ms` milliseconds. */
  login(kind: 'good' | 'bad', ms?: number, key?: string): Promise<Answer>
  /** Sends `count` of them at once. */
  logins(kind: 'good' | 'bad', count: number, ms?: number): Promise<Answer[]>
  /** How often a handler ran. */
  runs(): Promise<number>
}

let spaces = 0

/** The storage, and options for a busy machine. */
export async function storageFor(tier: 'shared' | 'redis'): Promise<object> {
  if (tier === 'shared') return { storage: `shared:logins-${process.pid}-${++spaces}` }
  const { url } = await serverForTest()
  return { storage: url, deadlineMs: 10_000, connectTimeoutMs: 60_000 }
}

/** Starts one; it ends with the test. */
export async function startLogins(options: object): Promise<LoginServer> {
  const file = join(process.cwd(), '__test__/http/login-server.mjs')
  const named = 'scope' in options ? options : { name: 'login', ...options }
  const child = spawn(process.execPath, [file, JSON.stringify(named)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 110_000,
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 500 })
  onTestFinished(async () => {
    agent.destroy()
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(String(line))
  const get = (path: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; body: string; retryAfter: number | undefined }>(
      (resolve, reject) => {
        const call = request({ host: '127.0.0.1', port, path, agent, headers }, (response) => {
          let body = ''
          response.on('data', (data) => {
            body += data
          })
          const { 'retry-after': after } = response.headers
          const retryAfter = after === undefined ? undefined : Number(after)
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body, retryAfter }))
        })
        call.on('error', reject)
        call.end()
      },
    )
  const login = async (kind: 'good' | 'bad', ms = 0, key = 'ada'): Promise<Answer> => {
    const { status, retryAfter } = await get(`/${kind}?ms=${ms}`, { 'x-key': key })
    return { status, retryAfter }
  }
  return {
    login,
    logins: (kind, count, ms) => {
      const all = Promise.all(Array.from({ length: count }, () => login(kind, ms)))
      // A test that has failed in the meantime does not read them.
      all.catch(() => {})
      return all
    },
    runs: async () => Number((await get('/runs')).body),
  }
}

/** How many answers had which status. */
export function tally(answers: readonly Answer[]): Record<number, number> {
  const seen: Record<number, number> = {}
  for (const { status } of answers) seen[status] = (seen[status] ?? 0) + 1
  return seen
}
