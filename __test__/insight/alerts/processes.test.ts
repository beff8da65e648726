import { expect, it } from 'vitest'
import { byLength } from '../../fixtures/long.ts'
import { serverForTest } from '../../redis/server.ts'
import { freshName } from '../../shared/place.ts'
import { Watchers } from './watchers.ts'

// Real processes, which look at the same time on purpose.

type Storage = 'shared' | 'Redis'

const SCENARIOS = { oneTells, oneDies, allDie }

/** Which are tried with what. They mostly wait, so all of them run at once. */
const TRIED = byLength<readonly [Storage, readonly (keyof typeof SCENARIOS)[]][]>(
  [
    ['shared', ['oneTells', 'allDie']],
    ['Redis', ['oneTells', 'oneDies']],
  ],
  [
    ['shared', ['oneTells', 'oneDies', 'allDie']],
    ['Redis', ['oneTells', 'oneDies', 'allDie']],
  ],
)

it('of several processes one tells, whichever of them die', { timeout: 280_000 }, async () => {
  const storages = { shared: `shared:${freshName()}`, Redis: (await serverForTest()).url }
  const runs = TRIED.flatMap(([storage, names]) =>
    names.map((name) => SCENARIOS[name]({ storage: storages[storage], name })),
  )
  await Promise.all([...runs, redisAway()])
})

/** Of four processes one tells, each time. */
async function oneTells(options: object): Promise<void> {
  const watchers = await Watchers.start(4, { ...options, cooldown: 0 })
  const expected: string[] = []
  for (let round = 0; round < byLength(2, 20); round++) {
    watchers.denied(true)
    await watchers.lookUntil(() => watchers.all.every(({ status }) => status === 'fired'))
    expected.push('fired')
    expect(watchers.statuses).toEqual(expected)
    watchers.denied(false)
    await watchers.lookUntil(() => watchers.all.every(({ status }) => status === 'quiet'))
    expected.push('resolved')
    expect(watchers.statuses).toEqual(expected)
  }
}

/** While one tells no other does. If it dies then, another tells; and yet another that it is over. */
async function oneDies(options: object): Promise<void> {
  const watchers = await Watchers.start(3, options)
  const [first] = watchers.all
  first?.hang()
  first?.denied(true)
  await watchers.lookUntil(() => watchers.told.length > 0)
  watchers.denied(true)
  // For longer than a claim lasts that is not renewed.
  await watchers.lookFor(3_500)
  expect(watchers.told).toEqual([{ status: 'fired', by: first }])
  await first?.kill()
  await watchers.lookUntil(() => watchers.alive.every(({ status }) => status === 'fired'))
  expect(watchers.statuses).toEqual(['fired', 'fired'])
  const second = watchers.told[1]?.by
  expect(second).not.toBe(first)
  await second?.kill()
  watchers.denied(false)
  await watchers.lookUntil(() => watchers.alive.every(({ status }) => status === 'quiet'))
  expect(watchers.statuses).toEqual(['fired', 'fired', 'resolved'])
  expect(watchers.told[2]?.by).not.toBe(second)
}

/** It is over when it is over in all. If all die, those that come tell that it is. */
async function allDie(options: object): Promise<void> {
  const watchers = await Watchers.start(2, options)
  const [one, other] = watchers.all
  watchers.denied(true)
  await watchers.lookUntil(() => watchers.all.every(({ status }) => status === 'fired'))
  one?.denied(false)
  await watchers.lookFor(2_000)
  expect(watchers.statuses).toEqual(['fired'])
  await Promise.all([one?.kill(), other?.kill()])
  await watchers.add()
  await watchers.lookUntil(() => watchers.told.length > 1)
  expect(watchers.statuses).toEqual(['fired', 'resolved'])
  // Within the cooldown.
  watchers.denied(true)
  await watchers.lookFor(1_500)
  expect(watchers.statuses).toEqual(['fired', 'resolved'])
  expect(watchers.alive[0]?.status).toBe('pending')
}

/** While Redis does not answer each tells for itself, and not again when it answers, without its data. */
async function redisAway(): Promise<void> {
  const server = await serverForTest()
  const watchers = await Watchers.start(2, { storage: server.url })
  await watchers.lookFor(300)
  server.signal('SIGKILL')
  await watchers.lookFor(500)
  watchers.denied(true)
  await watchers.lookUntil(() => watchers.all.every(({ status }) => status === 'fired'))
  expect(watchers.statuses).toEqual(['fired', 'fired'])
  await server.restart()
  await watchers.lookFor(1_500)
  expect(watchers.statuses).toEqual(['fired', 'fired'])
}
