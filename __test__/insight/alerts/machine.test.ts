import { describe, expect, it } from 'vitest'
import {
  advance,
  type Durations,
  QUIET,
  type RuleEvent,
  type RuleState,
} from '../../../ts/insight/alerts/machine.ts'
import { randomFor } from '../../fixtures/random.ts'

interface Look {
  readonly now: number
  readonly holds: boolean
}

interface Told {
  readonly at: number
  readonly event: RuleEvent
}

function walk(looks: readonly Look[], durations: Durations): Told[] {
  let state: RuleState = QUIET
  return looks.flatMap(({ now, holds }) => {
    const [next, event] = advance(state, now, holds, durations)
    state = Object.freeze(next)
    return event === undefined ? [] : [{ at: now, event }]
  })
}

/** The same by looking at all of the past again at each look. */
function slowly(looks: readonly Look[], { holdMs, clearMs, cooldownMs }: Durations): Told[] {
  const told: Told[] = []
  for (let i = 0; i < looks.length; i++) {
    const { now, holds } = looks[i] as Look
    const isFired = told.at(-1)?.event === 'fired'
    const event = isFired ? 'resolved' : 'fired'
    if (holds === isFired) continue
    const since = told.at(-1)?.at ?? Number.NEGATIVE_INFINITY
    let first = i
    while (first > 0) {
      const before = looks[first - 1] as Look
      if (before.holds !== holds || before.now < since) break
      first--
    }
    const lasted = now - (looks[first] as Look).now
    const isApart = told.every((one) => one.event !== event || now - one.at >= cooldownMs)
    if (lasted >= (isFired ? clearMs : holdMs) && isApart) told.push({ at: now, event })
  }
  return told
}

const DURATIONS = { holdMs: 0, clearMs: 60_000, cooldownMs: 300_000 }

describe('the state of a rule', () => {
  it('fires, and is resolved when it has not held for long enough', () => {
    const looks = Array.from({ length: 120 }, (_, i) => ({
      now: i * 1_000,
      holds: i >= 5 && i < 9,
    }))
    expect(walk(looks, DURATIONS)).toEqual([
      { at: 5_000, event: 'fired' },
      { at: 69_000, event: 'resolved' },
    ])
  })

  it('holds a state for its window first', () => {
    const looks = [0, 1, 2, 3, 4, 5].map((i) => ({ now: i * 1_000, holds: i !== 1 }))
    expect(walk(looks, { ...DURATIONS, holdMs: 3_000 })).toEqual([{ at: 5_000, event: 'fired' }])
  })

  it.each([1, 2, 7, 30, 59, 61, 90, 150, 299, 301])(
    'an input that flaps every %i s gives one of each in five minutes at most',
    (seconds) => {
      const looks = Array.from({ length: 7_200 }, (_, i) => ({
        now: i * 1_000,
        holds: Math.floor(i / seconds) % 2 === 0,
      }))
      const told = walk(looks, DURATIONS)
      expect(told[0]).toEqual({ at: 0, event: 'fired' })
      for (const { at, event } of told) {
        const near = told.filter((one) => one.event === event && Math.abs(one.at - at) < 300_000)
        expect(near).toHaveLength(1)
      }
      // With a calm of a minute there is a resolved.
      if (seconds > 61) expect(told.length).toBeGreaterThan(20)
    },
  )

  it('is the same as by looking at all of the past, for any looks', () => {
    const random = randomFor('alert machine')
    let events = 0
    for (let round = 0; round < 600; round++) {
      const durations = {
        holdMs: random.pick([0, 0, 1, 1_000, 5_000]),
        clearMs: random.pick([0, 1, 1_000, 4_000]),
        cooldownMs: random.pick([0, 1, 3_000, 20_000]),
      }
      const likelihood = random.next()
      let now = random.integer(0, 1_000_000)
      const looks = Array.from({ length: random.integer(1, 80) }, () => {
        now += random.pick([1, 500, 1_000, 1_000, 1_000, 3_500])
        return { now, holds: random.chance(likelihood) }
      })
      const told = walk(looks, durations)
      expect(told).toEqual(slowly(looks, durations))
      for (const [i, { event }] of told.entries()) {
        expect(event).toBe(i % 2 === 0 ? 'fired' : 'resolved')
      }
      events += told.length
    }
    expect(events).toBeGreaterThan(1_000)
  })

  it('with a cooldown of 0 tells of each change', () => {
    const looks = Array.from({ length: 10 }, (_, i) => ({ now: i, holds: i % 2 === 0 }))
    const durations = { holdMs: 0, clearMs: 0, cooldownMs: 0 }
    expect(walk(looks, durations)).toHaveLength(10)
  })
})
