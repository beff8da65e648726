import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { ConcurrencyLimiter } from 'ratethrottle'
import { expect, it } from 'vitest'
import { NativeCounts } from '../../ts/permits/native-counts.ts'
import { ROOT } from '../fixtures/child.ts'
import { randomFor } from '../fixtures/random.ts'
import { freshName } from '../shared/place.ts'
import { MapCounts } from './map-counts.ts'

const HOLDER = join(ROOT, '__test__/permits/keeper.mjs')

interface Hold {
  readonly limits: object
  readonly options: object
  readonly key: string
  readonly permits: number
}

async function holdInThread(hold: Hold): Promise<Worker> {
  const worker = new Worker(HOLDER, { workerData: hold })
  expect(await once(worker, 'message')).toEqual([hold.permits])
  return worker
}

async function holdInProcess(hold: Hold): Promise<ChildProcess> {
  const child = spawn(process.execPath, [HOLDER, JSON.stringify(hold)])
  const [out] = await once(child.stdout, 'data')
  expect(String(out).trim()).toBe(`${hold.permits}`)
  return child
}

/** Keys that are alike, or that no text encoding holds. */
const KEYS = ['', 'a', 'A', 'é', '\ud800', '\udfff', '\ufffd', 'x'.repeat(300), 'x'.repeat(301)]

it.each([
  ['in memory', {}],
  ['in memory with a name', { name: 'counts as a map' }],
  ['shared', { name: freshName(), shared: true }],
])('counts as a map does, %s', (_, place) => {
  const random = randomFor('native counts')
  for (const [perKey, total] of [
    [2, 7],
    [3, undefined],
    [undefined, 5],
  ]) {
    const native = new NativeCounts({ perKey, total }, place)
    const none = Number.POSITIVE_INFINITY
    const twin = new MapCounts(perKey ?? none, total ?? none)
    const receipts: [number, number][] = []
    for (let step = 0; step < 1_000; step++) {
      const key = random.pick(KEYS)
      if (random.chance(0.5)) {
        const [ours, theirs] = [native.acquire(key), twin.acquire(key)]
        expect(Math.min(ours, 0)).toBe(Math.min(theirs, 0))
        if (ours >= 0) receipts.push([ours, theirs])
      } else if (receipts.length > 0) {
        const [taken] = receipts.splice(random.integer(0, receipts.length - 1), 1)
        native.release(taken?.[0] ?? -1)
        twin.release(taken?.[1] ?? -1)
      }
      expect(native.held(key)).toBe(twin.held(key))
    }
    expect(native.inUse()).toBe(twin.inUse())
    native.close()
  }
})

it('one name has one set of limits in a process', () => {
  const first = new ConcurrencyLimiter(2, { name: 'conflict' })
  expect(() => new ConcurrencyLimiter(3, { name: 'conflict' })).toThrow(
    expect.objectContaining({
      code: 'NAME_IN_USE',
      message: expect.stringContaining(
        'a concurrency limiter of this name exists in this process with other perKey, total or capacity',
      ),
    }),
  )
  const same = new ConcurrencyLimiter(2, { name: 'conflict' })
  first.tryAcquire('a')
  expect(same.held('a')).toBe(1)
  first.close()
  expect(same.held('a')).toBe(0)
  same.close()
})

it('a thread that ends gives back what it held, however it ends', async () => {
  const options = { name: 'threads of permits' }
  const limits = { perKey: 4, total: 8 }
  const here = new ConcurrencyLimiter(limits, options)
  const [one, other] = await Promise.all([
    holdInThread({ limits, options, key: 'a', permits: 2 }),
    holdInThread({ limits, options, key: 'a', permits: 2 }),
  ])
  expect([here.held('a'), here.tryAcquire('a')]).toEqual([4, undefined])
  one.postMessage('release one')
  await expect.poll(() => here.held('a'), { interval: 5 }).toBe(3)
  await one.terminate()
  await other.terminate()
  expect([here.held('a'), here.inUse]).toEqual([0, 0])
  here.close()
})

it('permits of a killed process come free within a second, and those of a stopped one stay its own', async () => {
  const options = { name: freshName(), shared: true }
  const limits = { perKey: 3, total: 8 }
  const here = new ConcurrencyLimiter(limits, options)
  const [killed, stopped] = await Promise.all([
    holdInProcess({ limits, options, key: 'a', permits: 2 }),
    holdInProcess({ limits, options, key: 'b', permits: 3 }),
  ])
  stopped.kill('SIGSTOP')
  const mine = here.tryAcquire('a')
  expect([mine === undefined, here.tryAcquire('a'), here.inUse]).toEqual([false, undefined, 6])
  killed.kill('SIGKILL')
  await once(killed, 'exit')
  const permit = await here.acquire('a', { maxWaitMs: 1_000 }).catch(() => undefined)
  // Without a queue only one who asks again finds it.
  for (let turn = 0; permit === undefined && here.held('a') > 1 && turn < 600; turn++) {
    await sleep(50)
    here.tryAcquire('a')?.release()
  }
  permit?.release()
  expect([here.held('a'), here.held('b')]).toEqual([1, 3])
  expect(here.tryAcquire('b')).toBeUndefined()
  stopped.kill('SIGCONT')
  stopped.stdin?.end()
  await once(stopped, 'exit')
  expect(here.tryAcquire('b')).toBeDefined()
  mine?.release()
  here.close()
})

it('keys that find no room are refused', () => {
  const small = new ConcurrencyLimiter(1, { capacity: 1 })
  const taken = Array.from({ length: 100 }, (_, n) => small.take(`key ${n}`))
  const reasons = new Set(taken.map((one) => ('reason' in one ? one.reason : 'taken')))
  expect(reasons).toEqual(new Set(['taken', 'capacity']))
  small.close()
})

it.each([
  ['in memory', () => ({ name: 'many objects' })],
  ['shared', () => ({ name: freshName(), shared: true })],
])(
  'hundreds of objects of one name in a thread have its one lane, and each its own permits, %s',
  (_, place) => {
    const options = place()
    const all = Array.from({ length: 300 }, () => new ConcurrencyLimiter(1_000, options))
    // Some of one key, some of others.
    for (const [i, limiter] of all.entries()) {
      for (const key of ['k', `k${i % 7}`, 'k']) expect(limiter.tryAcquire(key)).toBeDefined()
    }
    const [first, second, ...others] = all as [ConcurrencyLimiter, ...ConcurrencyLimiter[]]
    expect(first.held('k')).toBe(600)
    second?.close()
    expect([first.held('k'), first.held('k1')]).toEqual([598, 42])
    // A release after the close gives nothing of the others' back.
    const permit = others[0]?.tryAcquire('k')
    others[0]?.close()
    permit?.release()
    expect([first.held('k'), first.inUse]).toEqual([596, 894])
    for (const limiter of others) limiter.close()
    expect([first.held('k'), first.inUse]).toEqual([2, 3])
    first.close()
    const last = new ConcurrencyLimiter(1_000, options)
    expect(last.inUse).toBe(0)
    last.close()
  },
)
