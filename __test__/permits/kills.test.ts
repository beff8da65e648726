import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConcurrencyLimiter, type Permit } from 'ratethrottle'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { type Server, startServer } from '../redis/server.ts'

let server: Server

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

const LEASE_MS = 1_500
/** Of a process that is paused: before that it must not miss its renewals on a busy machine. */
const PAUSED_MS = 3_000
/** Of those that nothing happens to, however slow the machine is. */
const SAFE = { leaseMs: 60_000, deadlineMs: 30_000 }
const LIMITS = { perKey: 3, total: 5 }

/** What a child says. */
interface Message {
  readonly number: number
  /** When, by the clock that all processes of a machine have in common: it may be heard late. */
  readonly at: number
  readonly word: 'in' | 'out' | 'lost'
  /** The permits that it has at that time. */
  readonly has: readonly string[]
  readonly permit: string
  readonly key: string
}

/** A permit that a process had: for no longer than this. */
interface Held {
  readonly key: string
  readonly from: number
  readonly to: number
}

/**
 * What processes say that they hold. Each says so after it has a permit, and before it gives one back, and waits until it
 * was heard. A killed process had those that it named last, until then.
 */
class Witness {
  lost = 0
  readonly held: Held[] = []

  start(): ChildProcess {
    const options = { storage: server.url, limits: LIMITS, leaseMs: LEASE_MS, callers: 6 }
    const child = fork(join(ROOT, '__test__/permits/holder.mjs'), [JSON.stringify(options)])
    const open = new Map<string, Held>()
    const end = (permit: string, to: number): void => {
      const { key, from } = open.get(permit) ?? { key: '', from: to }
      open.delete(permit)
      this.held.push({ key, from, to })
    }
    child.on('message', ({ number, at, word, permit, key, has }: Message) => {
      if (word === 'in') open.set(permit, { key, from: at, to: at })
      else if (word === 'out') end(permit, at)
      else {
        // It stood still for longer than its lease, and has seen that.
        open.delete(permit)
        this.lost++
      }
      for (const one of has) {
        const { key, from } = open.get(one) ?? {}
        if (key !== undefined && from !== undefined) open.set(one, { key, from, to: at })
      }
      child.send(number, () => {})
    })
    child.once('exit', () => {
      for (const [permit, { to }] of open) end(permit, to)
    })
    return child
  }

  /** The most that were held at a time, of these keys together. */
  most(...keys: string[]): number {
    const held = this.held.filter(({ key, from, to }) => keys.includes(key) && to > from)
    // At one time those that end come first.
    const steps = held.flatMap(({ from, to }) => [
      { at: from, by: 1 },
      { at: to, by: -1 },
    ])
    steps.sort((one, other) => one.at - other.at || one.by - other.by)
    let [count, most] = [0, 0]
    for (const { by } of steps) {
      count += by
      most = Math.max(most, count)
    }
    return most
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
  let children = [1, 2, 3].map(() => witness.start())
  onTestFinished(async () => {
    await Promise.all(children.map(kill))
  })
  const end = performance.now() + byLength(0, 100_000)
  // On a busy machine it takes longer until as many are held as may be.
  const isFull = (): boolean => witness.most('a', 'b') >= 5
  for (let kills = 0; kills < 3 || performance.now() < end || (kills < 12 && !isFull()); kills++) {
    const seen = witness.held.length
    await until(() => witness.held.length > seen + byLength(100, 500), PATIENCE, 'more permits')
    const victim = children[kills % 3]
    await kill(victim)
    children = [...children.filter((child) => child !== victim), witness.start()]
  }
  await Promise.all(children.map(kill))
  const most = { a: witness.most('a'), b: witness.most('b'), all: witness.most('a', 'b') }
  console.log(`${witness.held.length} permits, at most ${JSON.stringify(most)} at a time`)
  expect([most.a <= 3, most.b <= 3, most.all]).toEqual([true, true, 5])
  expect(witness.lost).toBeLessThan(witness.held.length / 10)
  const options = { storage: server.url, ...LIMITS, name: 'held', ...SAFE }
  const limiter = createConcurrencyLimiter(options)
  onTestFinished(() => limiter.close())
  await sleep(LEASE_MS)
  const free = await Promise.all(['a', 'a', 'a', 'b', 'b'].map((key) => limiter.acquire(key)))
  expect(free).toHaveLength(5)
  await expect(limiter.acquire('b')).rejects.toMatchObject({ reason: 'total' })
})

it('a process that is paused for longer than its lease has lost its permit, and sees that', async () => {
  const name = 'held'
  await server.admin.flushall()
  const holder = fork(join(ROOT, '__test__/permits/paused.mjs'), [server.url, String(PAUSED_MS)])
  onTestFinished(() => kill(holder))
  await once(holder, 'message')
  // One of the key's two is renewed all the time: the set of the key does not expire as a whole.
  const options = { storage: server.url, perKey: 2, name, queue: 1, ...SAFE }
  const limiter = createConcurrencyLimiter(options)
  onTestFinished(() => limiter.close())
  const own = await limiter.acquire('k')
  await sleep(1.3 * PAUSED_MS)
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
