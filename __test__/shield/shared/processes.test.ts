import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock } from 'ratethrottle'
import { type Guard, shield } from 'ratethrottle/shield'
import { afterEach, expect, it } from 'vitest'
import { fileOf, freshName } from '../../shared/place.ts'
import { type Neighbour, startProcess, startThread } from './neighbours.ts'

const IP = '203.0.113.7'
const HOUR = 3_600_000

const open: { end?: () => Promise<void>; close?: () => void }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) {
    one.close?.()
    await one.end?.()
  }
})

function guardOf(options: Parameters<typeof shield>[0]): Guard {
  const guard = shield(options)
  open.push({ close: () => guard.close() })
  return guard
}

async function processOf(options: object): ReturnType<typeof startProcess> {
  const started = await startProcess(options)
  open.push({ end: started.end })
  return started
}

async function threadOf(options: object): Promise<Neighbour> {
  const started = await startThread(options)
  open.push({ end: started.end })
  return started
}

it('threads with one name are one shield; without a name they are not', async () => {
  const name = freshName()
  const guard = guardOf({ mode: 'enforce', name })
  const other = await threadOf({ mode: 'watch', name })
  const stranger = await threadOf({ mode: 'enforce' })
  expect(guard.block(IP, HOUR)).toBe(true)
  expect(await other.call('isBlocked', IP)).toBeGreaterThan(HOUR - 60_000)
  expect(await stranger.call('isBlocked', IP)).toBe(0)
  expect(await other.call('pardon', IP)).toBe(true)
  expect(guard.isBlocked(IP)).toBe(0)
  expect(() => guardOf({ name, sources: 64 })).toThrow(
    expect.objectContaining({ code: 'NAME_IN_USE' }),
  )
})

it('a thread that ends in the middle of its calls leaves the shield to the others', async () => {
  const options = { mode: 'enforce', name: freshName() } as const
  const guard = guardOf(options)
  for (let turn = 0; turn < 5; turn++) {
    const other = await threadOf(options)
    void other.call('spin', `198.51.100.${turn}`, 10_000).catch(() => {})
    await sleep(20)
    await other.end()
    expect(guard.block(IP, HOUR)).toBe(true)
    expect(guard.pardon(IP)).toBe(true)
    expect(guard.decide({ ip: `192.0.2.${turn}` }).allowed).toBe(true)
  }
})

it('processes with one name count one source together, and see each other’s blocks and pardons at once', async () => {
  const options = { mode: 'enforce', shared: true, name: freshName(), ceiling: '5/second' }
  const [one, other] = [await processOf(options), await processOf({ ...options, mode: 'watch' })]
  // 12 at once in all: what one process lets through, the other does not.
  await one.call('decide', IP, 10)
  expect(await other.call('decide', IP, 40)).toMatchObject({ level: 3, reasons: ['ceiling'] })
  await one.call('block', IP, HOUR)
  expect(await other.call('isBlocked', IP)).toBeGreaterThan(HOUR - 60_000)
  // In watch mode it is said and not done: the mode is each process's own.
  expect(await other.call('decide', IP, 1)).toMatchObject({ level: 4, allowed: true })
  expect(await one.call('decide', IP, 1)).toMatchObject({ level: 4, allowed: false, status: 429 })
  expect(await other.call('pardon', IP)).toBe(true)
  expect(await one.call('isBlocked', IP)).toBe(0)
  expect(await one.call('decide', IP, 1)).toMatchObject({ level: 0 })
  for (const all of [one, other]) expect(await all.call('top')).toMatchObject([{ source: IP }])
})

it('paths are the same paths in all processes: a mistake that many of them see is no scan', async () => {
  const options = { mode: 'enforce', shared: true, name: freshName() }
  const all = await Promise.all(Array.from({ length: 4 }, () => processOf(options)))
  // Five missing files, each asked for twice in each process.
  const paths = Array.from({ length: 10 }, (_, i) => `/missing/${i % 5}`)
  for (const one of all) expect(await one.call('fail', IP, paths)).toBe(0)
  const probes = Array.from({ length: 40 }, (_, i) => `/probe/${i}`)
  const [first, last] = [all[0], all[3]] as [Neighbour, Neighbour]
  await first.call('fail', '203.0.113.8', probes.slice(0, 13))
  expect(await last.call('fail', '203.0.113.8', probes.slice(13))).toBeGreaterThan(0)
})

it('a block ends when told, though every process was killed, stopped and started again', async () => {
  const options = { mode: 'enforce', shared: true, name: freshName() } as const
  const first = await processOf(options)
  const told = 10_000
  const begun = performance.now()
  await first.call('block', IP, told)
  await first.call('block', '203.0.113.8', HOUR)
  const until = performance.now() + told
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  const second = await processOf(options)
  const left = (await second.call('isBlocked', IP)) as number
  const most = until - performance.now()
  // What is left is what was left: never more than was told when it began. The clock is read to 10 milliseconds.
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThanOrEqual(told)
  expect(begun + told).toBeLessThanOrEqual(performance.now() + left + 20)
  expect(most).toBeLessThanOrEqual(told)
  second.child.kill('SIGSTOP')
  const third = await processOf(options)
  expect(await third.call('pardon', '203.0.113.8')).toBe(true)
  await sleep(Math.max(0, until - performance.now()) + 250)
  expect(await third.call('isBlocked', IP)).toBe(0)
  second.child.kill('SIGCONT')
  expect(await second.call('isBlocked', IP)).toBe(0)
  expect(await second.call('isBlocked', '203.0.113.8')).toBe(0)
  expect(await second.call('decide', IP, 1)).toMatchObject({ level: 0 })
})

it('processes that are killed in the middle of their calls take no slot and end no block', async () => {
  const options = { mode: 'enforce', shared: true, name: freshName(), sources: 64 } as const
  const guard = guardOf(options)
  expect(guard.block(IP, HOUR)).toBe(true)
  for (let turn = 0; turn < 6; turn++) {
    const other = await processOf(options)
    void other.call('spin', IP, 10_000).catch(() => {})
    await sleep(30)
    await other.end()
    expect(guard.isBlocked(IP)).toBeGreaterThan(HOUR - 60_000)
  }
  await sleep(1_100)
  const blocked = Array.from({ length: 64 }, (_, i) => guard.block(`198.51.100.${i}`, HOUR))
  expect(blocked.filter(Boolean).length).toBeGreaterThan(50)
  expect(guard.state().blocked).toBe(1 + blocked.filter(Boolean).length)
})

it('other settings are another shield, with a warning; another mode is not', async () => {
  const options = { mode: 'watch', shared: true, name: freshName() } as const
  guardOf(options).block(IP, HOUR)
  const same = await processOf({ ...options, mode: 'enforce' })
  expect(await same.call('warnings')).toEqual([])
  const other = await processOf({ ...options, ceiling: '60/second' })
  expect(await other.call('warnings')).toEqual(['RATETHROTTLE_SHARED_SETTINGS'])
  expect(await other.call('isBlocked', IP)).toBe(0)
})

it('a file that is deleted is replaced, and all processes share the new one', async () => {
  const { unlinkSync } = await import('node:fs')
  const options = { mode: 'enforce', shared: true, name: freshName() } as const
  const guard = guardOf(options)
  const other = await processOf(options)
  guard.block(IP, HOUR)
  unlinkSync(fileOf(options.name))
  await expect.poll(() => guard.isBlocked(IP), { timeout: 60_000 }).toBe(0)
  await expect.poll(() => other.call('isBlocked', IP), { timeout: 60_000 }).toBe(0)
  guard.block(IP, HOUR)
  expect(await other.call('isBlocked', IP)).toBeGreaterThan(0)
  expect(await other.call('warnings')).toEqual(['RATETHROTTLE_SHARED_RENEWED'])
})

it('options that do not fit together are refused, as those of limiters are', () => {
  const name = freshName()
  expect(() => shield({ shared: true })).toThrow('shared: true requires name')
  expect(() => shield({ shared: true, name, clock: new FakeClock() })).toThrow('excludes clock')
  expect(() => shield({ name, onMismatch: 'private' })).toThrow('onMismatch requires shared: true')
  expect(() => shield({ name: '' })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
})
