import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { rateThrottle } from 'ratethrottle/http'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { freePort, type Server, startServer } from '../redis/server.ts'

/*
 * A server is shut down while requests run, are delayed, wait for the outcome of others or for a limiter in
 * the handler. The process ends by itself, long before those waits would, and every request is answered.
 */

const SCRIPT = join(process.cwd(), '__test__/adapters/shutdown-server.mjs')
const REQUESTS = 6
/** Far below the waits of the server's modes, far above what a busy machine needs. */
const ENDS_WITHIN_MS = 20_000

let redis: Server
beforeAll(async () => {
  redis = await startServer()
})
afterAll(() => redis.stop())

async function start(adapter: string, mode: string, url?: string): Promise<[ChildProcess, number]> {
  const child = fork(SCRIPT, [adapter, mode, ...(url === undefined ? [] : [url])], { silent: true })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [{ port }] = await once(child, 'message')
  return [child, port]
}

/** The status of a request, or the code of the error that ended it. */
function ask(port: number): Promise<number | string> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port, agent: false }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
      response.on('error', (error) => resolve(String(error)))
    })
    call.on('error', (error) => resolve(String(error)))
  })
}

async function shutDown(
  adapter: string,
  mode: string,
  how: string,
  url?: string,
): Promise<unknown> {
  const [child, port] = await start(adapter, mode, url)
  const received = once(child, 'message')
  const answers = Promise.all(Array.from({ length: REQUESTS }, () => ask(port)))
  await received
  const ended = once(child, 'exit')
  if (how === 'SIGTERM') child.kill('SIGTERM')
  else child.send('close')
  const late = pause(ENDS_WITHIN_MS, ['still running'], { ref: false })
  const [code] = (await Promise.race([ended, late])) as [unknown]
  if (code === 'still running') child.kill('SIGKILL')
  const statuses = (await answers).map((status) =>
    [200, 429, 503].includes(status as number) ? 'answered' : status,
  )
  return { code, statuses }
}

/** The outcome of each case, and the expected one. All run at once: most of their time they wait. */
async function outcomesOf(cases: Record<string, Promise<unknown>>): Promise<[unknown, unknown]> {
  const names = Object.keys(cases)
  const seen = await Promise.all(Object.values(cases))
  const statuses = Array.from({ length: REQUESTS }, () => 'answered')
  const right = names.map((name) => [name, { code: 0, statuses }])
  return [Object.fromEntries(names.map((name, i) => [name, seen[i]])), Object.fromEntries(right)]
}

const ADAPTERS = ['fastify', 'express', 'http']
/** How each is told to end; the short form ends each in one of the two ways. */
const BOTH = ['close', 'SIGTERM']
const HOWS: Record<string, readonly string[]> = {
  fastify: byLength(['SIGTERM'], BOTH),
  express: byLength(['close'], BOTH),
  http: byLength(['SIGTERM'], BOTH),
}
const IN_PROCESS = ['plain', 'slowDown', 'countWhen', 'shared', 'wait']
const IN_REDIS = ['redis', 'redis slowDown', 'redis countWhen', 'leases', 'redis wait']
/** The short form ends only Fastify's in every mode, each of the others in those that hold most. */
const modesOf = (adapter: string, modes: string[], some: string[]): string[] =>
  byLength(adapter === 'fastify' ? modes : some, modes)

test.each(ADAPTERS)(
  '%s: the process ends in every mode in memory and shared, with each request answered',
  async (adapter) => {
    for (const how of HOWS[adapter] ?? []) {
      const modes = modesOf(adapter, IN_PROCESS, ['slowDown', 'shared', 'wait'])
      const cases = modes.map((mode) => [`${mode}, ${how}`, shutDown(adapter, mode, how)])
      const [seen, right] = await outcomesOf(Object.fromEntries(cases))
      expect(seen).toEqual(right)
    }
  },
)

test.each(ADAPTERS)(
  '%s: the process ends in every mode with Redis, with each request answered',
  async (adapter) => {
    const modes = modesOf(adapter, IN_REDIS, ['leases', 'redis countWhen'])
    const cases = modes.map((mode) => [mode, shutDown(adapter, mode, 'SIGTERM', redis.url)])
    const [seen, right] = await outcomesOf(Object.fromEntries(cases))
    expect(seen).toEqual(right)
  },
)

test('a server ends while Redis is away, with each request answered', async () => {
  const away = `redis://127.0.0.1:${await freePort()}`
  const all = ['redis', 'redis slowDown', 'redis countWhen', 'redis wait']
  const modes = byLength(['redis slowDown', 'redis countWhen'], all)
  const cases = modes.map((mode) => [mode, shutDown('fastify', mode, 'SIGTERM', away)])
  const [seen, right] = await outcomesOf(Object.fromEntries(cases))
  expect(seen).toEqual(right)
})

test('a server ends while Redis is frozen, with each request answered', async () => {
  redis.signal('SIGSTOP')
  onTestFinished(() => redis.signal('SIGCONT'))
  const all = ['redis', 'leases', 'redis countWhen', 'redis slowDown']
  const modes = byLength(['leases', 'redis countWhen'], all)
  const cases = modes.map((mode) => [mode, shutDown('fastify', mode, 'SIGTERM', redis.url)])
  const [seen, right] = await outcomesOf(Object.fromEntries(cases))
  expect(seen).toEqual(right)
})

test('decisions in progress when the limiter is closed are made, later ones are not', async () => {
  let name: (key: string) => void = () => {}
  const key = new Promise<string>((resolve) => {
    name = resolve
  })
  const limiter = rateThrottle({ limits: '9/minute', key: () => key, keyTimeoutMs: 60_000 })
  const server = createServer(limiter.wrap((_, response) => response.end('done')))
  server.listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const received = once(server, 'request')
  const early = ask(port)
  await received
  limiter.close()
  name('client')
  expect([await early, await ask(port)]).toEqual([200, 500])
})
