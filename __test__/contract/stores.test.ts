import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createLimiter, type Store } from 'ratethrottle'
import { limiterContract } from 'ratethrottle/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { ROOT } from '../fixtures/child.ts'
import { type StoreServer, startMemcached, startPostgres } from './servers.ts'

const STORES = [
  { name: 'memcached', start: startMemcached, options: {} },
  { name: 'postgres', start: startPostgres, options: { user: 'postgres', database: 'postgres' } },
]
const LIMIT = 200

describe.each(STORES)('the example store for $name', ({ name, start, options }) => {
  let server: StoreServer
  let store: Store
  let holder: { close(): Promise<void> }

  beforeAll(async () => {
    server = await start()
    const open = (await import(join(ROOT, `examples/stores/${name}.mjs`)))[`${name}Store`]
    store = open({ host: '127.0.0.1', port: server.port, ...options })
    // Keeps the store open from one test to the next.
    const limiter = createLimiter({ limits: '1/s', storage: store })
    holder = limiter
    expect(await limiter.ready()).toEqual({ available: true, reason: undefined })
  })
  afterAll(async () => {
    await holder?.close()
    await server?.stop()
  })

  const tests = limiterContract((limits, settings) =>
    createLimiter({ limits, storage: store, ...settings, deadlineMs: 30_000 }),
  )
  for (const { title, run } of tests) it(title, run)

  it('4 processes that race for one key are admitted exactly the limit, with each algorithm', async () => {
    const args = [name, String(server.port), `${LIMIT}/day`, '150', ...ALGORITHMS]
    const racers = await Promise.all([1, 2, 3, 4].map(() => startRacer(args)))
    for (const algorithm of ALGORITHMS) {
      const results = await Promise.all(racers.map((run) => run()))
      const sum = (count: keyof Result): number =>
        results.reduce((all, result) => all + result[count], 0)
      expect([algorithm, sum('admitted'), sum('failures')]).toEqual([algorithm, LIMIT, 0])
      expect(sum('lost'), `${algorithm}: another process was faster`).toBeGreaterThan(0)
    }
  })
})

interface Result {
  readonly admitted: number
  readonly lost: number
  readonly failures: number
}

/** Starts a process, and resolves to a function that runs the race of one algorithm in it. */
async function startRacer(args: readonly string[]): Promise<() => Promise<Result>> {
  const file = join(ROOT, '__test__/contract/racer.mjs')
  const child = spawn(process.execPath, [file, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: ROOT,
    timeout: 200_000,
  })
  onTestFinished(() => {
    child.kill()
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const next = async (): Promise<string> => String((await lines.next()).value)
  let ready = next()
  await ready
  return async () => {
    expect(await ready).toBe('ready')
    child.stdin.write('go\n')
    const result = JSON.parse(await next()) as Result
    ready = next()
    return result
  }
}
