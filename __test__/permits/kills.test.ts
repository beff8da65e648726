import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConcurrencyLimits, createConcurrencyLimiter, type Permit } from 'ratethrottle'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { until } from '../redis/faults.ts'
import { type Server, startServer } from '../redis/server.ts'

let server: Server

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const LEASE_MS = 500
const LIMITS = { perKey: 3, total: 5 }

/** What processes say that they hold. A killed one holds nothing. */
class Witness {
  readonly most: Record<string, number> = { a: 0, b: 0, all: 0 }
  steps = 0
  lost = 0
  readonly #held = new Map<ChildProcess, Record<string, number>>()

  start(limits: ConcurrencyLimits, callers: number): ChildProcess {
    const options = { storage: server.url, limits, leaseMs: LEASE_MS, callers }
    const child = fork(join(ROOT, '__test__/permits/holder.mjs'), [JSON.stringify(options)])
    const held: Record<string, number> = { a: 0, b: 0 }
    this.#held.set(child, held)
    child.on('message', ({ number, word, key }: { number: number; word: string; key: string }) => {
      held[key] = (held[key] ?? 0) + (word === 'in' ? 1 : -1)
      if (word === 'in') this.steps++
      if (word === 'lost') this.lost++
      this.#look()
      child.send(number, () => {})
    })
    child.once('exit', () => this.#held.delete(child))
    return child
  }

  #look(): void {
    const all = [...this.#held.values()]
    const sum = (key: string): number => all.reduce((count, held) => count + (held[key] ?? 0), 0)
    const counts: Record<string, number> = { a: sum('a'), b: sum('b'), all: sum('a') + sum('b') }
    for (const name of ['a', 'b', 'all']) {
      this.most[name] = Math.max(this.most[name] ?? 0, counts[name] ?? 0)
    }
  }
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

it('never more are held than may be, while processes are killed; then all are free', {
  timeout: 180_000,
}, async () => {
  const witness = new Witness()
  let children = [1, 2, 3].map(() => witness.start(LIMITS, 6))
  onTestFinished(async () => {
    await Promise.all(children.map(kill))
  })
  const end = performance.now() + byLength(0, 100_000)
  for (let kills = 0; kills < 3 || performance.now() < end; kills++) {
    const seen = witness.steps
    await until(() => witness.steps > seen + byLength(100, 500), 20_000, 'more permits')
    const victim = children[kills % 3]
    await kill(victim)
    children = [...children.filter((child) => child !== victim), witness.start(LIMITS, 6)]
  }
  await Promise.all(children.map(kill))
  console.log(`${witness.steps} permits, at most ${JSON.stringify(witness.most)} at a time`)
  expect(witness.most).toEqual({ a: 3, b: 3, all: 5 })
  expect(witness.lost).toBe(0)
  const options = { storage: server.url, ...LIMITS, name: 'held', leaseMs: LEASE_MS }
  const limiter = createConcurrencyLimiter({ ...options, deadlineMs: 2_000 })
  onTestFinished(() => limiter.close())
  await sleep(LEASE_MS)
  const free = await Promise.all(['a', 'a', 'a', 'b', 'b'].map((key) => limiter.acquire(key)))
  expect(free).toHaveLength(5)
  await expect(limiter.acquire('b')).rejects.toMatchObject({ reason: 'total' })
})

it('a process that is paused for longer than its lease has lost its permit, and sees that', async () => {
  const name = 'held'
  await server.admin.flushall()
  const holder = fork(join(ROOT, '__test__/permits/paused.mjs'), [server.url, String(LEASE_MS)])
  onTestFinished(() => kill(holder))
  await once(holder, 'message')
  // One of the key's two is renewed all the time: the set of the key does not expire as a whole.
  const options = { storage: server.url, perKey: 2, name, leaseMs: LEASE_MS, queue: 1 }
  const limiter = createConcurrencyLimiter({ ...options, deadlineMs: 2_000 })
  onTestFinished(() => limiter.close())
  const own = await limiter.acquire('k')
  await sleep(2 * LEASE_MS)
  expect(await limiter.held('k')).toBe(2)
  const waiting: Promise<Permit> = limiter.acquire('k')
  holder.kill('SIGSTOP')
  const permit = await waiting
  holder.kill('SIGCONT')
  holder.send('are you still there?')
  const [isLost] = await once(holder, 'message')
  expect(isLost).toBe(true)
  // What it gives back is not the permit of another.
  await sleep(100)
  expect(await limiter.held('k')).toBe(2)
  expect([own.isLost, permit.isLost]).toEqual([false, false])
})
