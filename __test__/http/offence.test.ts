import { expect, it } from 'vitest'
import { ProvisionalCharges } from '../../dist/http/provisional-charge.js'
import { OPEN as YES } from '../fixtures/decision.ts'
import { serverForTest } from '../redis/server.ts'
import { serve } from './serve.ts'

const NO = { ...YES, allowed: false, remaining: 0, retryAfterMs: 60_000, retryAfter: 60 }
const CAPS = { maxWaiters: 9, maxWaitersPerKey: 9, now: () => 0, maxWaitMs: 40 }
const CLIENT = { isGone: false, watch: () => () => {} }

/** Checks a denied key: the results of two reads of the store, and whether they make an offence. */
async function offends(looks: { isHeld: boolean; version: string }[], isHeldHere = false) {
  let offences = 0
  let turn = 0
  const limiter = {
    peek: () => Promise.resolve(NO),
    take: () => Promise.resolve(NO),
    check: () => {
      offences++
      return Promise.resolve(NO)
    },
    refund: () => {},
  }
  const held = {
    isShared: true,
    isHeld: () => isHeldHere,
    look: () => Promise.resolve(looks[turn++ % looks.length]),
    addQueue: () => {},
    removeQueue: () => {},
  }
  const { decision } = await new ProvisionalCharges(CAPS).charge(
    { limiter, held } as never,
    'k',
    1,
    CLIENT,
  )
  expect(decision.allowed).toBe(false)
  return offences
}

const free = { isHeld: false, version: '1' }

it('a denial counts for the steps of blockFor only if no process held a unit during the call', async () => {
  expect(await offends([free, free])).toBe(1)
  expect(await offends([{ isHeld: true, version: '1' }])).toBe(0)
  expect(await offends([free, { isHeld: true, version: '2' }])).toBe(0)
  // One unit was held and settled between the two reads.
  expect(await offends([free, { isHeld: false, version: '2' }])).toBe(0)
  expect(await offends([free, free], true)).toBe(0)
})

it('of many requests that see one offence at once, one raises the step, in Redis too', async () => {
  const { url } = await serverForTest()
  const options = {
    limits: '1/second',
    algorithm: 'fixed-window',
    blockFor: ['3 seconds', '10 minutes', '1 hour'],
    storage: url,
    deadlineMs: 30_000,
    localDenials: false,
  }
  const { ask } = await serve('node:http', options)
  /** The longest wait of twenty who ask at once. */
  const longest = async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask()))
    return Math.max(...answers.map(({ headers }) => Number(headers['retry-after'] ?? 0)))
  }
  expect(await longest()).toBe(3)
  await expect.poll(longest, { timeout: 60_000, interval: 1_200 }).toBe(600)
})
