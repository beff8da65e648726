import { RateLimitExceeded, RateLimiter } from 'ratethrottle'
import { closeLimiters, limit, limitersOf } from 'ratethrottle/decorators'
import { describe, expect, it } from 'vitest'
import { type Decorators, loadDecorated } from '../fixtures/compile.ts'
import type * as Classes from '../fixtures/decorated/classes.ts'
import { PromisedLimiter } from '../fixtures/promised.ts'

async function outcomes(times: number, act: () => Promise<unknown>) {
  const results = await Promise.allSettled(Array.from({ length: times }, act))
  const denied = results.filter(
    (result) => result.status === 'rejected' && result.reason instanceof RateLimitExceeded,
  )
  const ran = results.filter((result) => result.status === 'fulfilled')
  return { ran: ran.length, denied: denied.length }
}

function remaining(limiter: unknown, key: string): number {
  return (limiter as RateLimiter).peek(key).remaining
}

describe.each<Decorators>(['standard', 'legacy'])(
  'a limiter that answers with promises, %s decorators',
  (decorators) => {
    const { borrowing } = loadDecorated<typeof Classes>(decorators, 'classes')

    function borrow(limits: string, beside = '1000/hour') {
      const limiter = new RateLimiter(limits)
      const tier = new PromisedLimiter(limiter)
      const Borrowing = borrowing(tier, beside)
      return { limiter, tier, Borrowing, object: new Borrowing() }
    }

    it('a method runs exactly N times of 200 parallel calls', async () => {
      const { object, limiter } = borrow('50/hour')
      expect(await outcomes(200, () => object.alone())).toEqual({ ran: 50, denied: 150 })
      expect(object.runs).toBe(50)
      expect(limiter.peek('alone').remaining, 'the key is the name of the method').toBe(0)
    })

    it.each(['first', 'last'] as const)(
      'is charged together with the other limiter or not at all, written %s',
      async (name) => {
        const denies = borrow('6/hour')
        const results = [await outcomes(100, () => denies.object[name]())]
        const beside = borrow('1000/hour', '3/hour')
        results.push(await outcomes(100, () => beside.object[name]()))
        expect(results).toEqual([
          { ran: 3, denied: 97 },
          { ran: 3, denied: 97 },
        ])
        const limiters = limitersOf(denies.Borrowing.prototype[name])
        const other = limiters.find((limiter) => limiter !== denies.tier)
        expect(remaining(other, name)).toBe(997)
        expect(beside.limiter.peek('k').remaining).toBe(994)
      },
    )

    it('is checked in written order, and not at all if one before it denies', async () => {
      const { object, tier } = borrow('1000/hour', '1/hour')
      await object.last()
      await outcomes(1, () => object.last())
      expect(tier.calls).toEqual(['check k 2'])
      await object.first()
      await outcomes(1, () => object.first())
      expect(tier.calls.slice(1)).toEqual(['check k 2', 'check k 2', 'refund k 2'])
    })

    it('that fails: the call rejects with its error, the method does not run, the other limiter is refunded', async () => {
      const { object, tier, Borrowing } = borrow('9/hour', '9/hour')
      tier.failures.check = new Error('connection lost')
      for (const name of ['alone', 'first', 'last'] as const) {
        await expect(object[name]()).rejects.toBe(tier.failures.check)
      }
      const [own] = limitersOf(Borrowing.prototype.last)
      expect([object.runs, remaining(own, 'last')]).toEqual([0, 9])
    })

    it('that fails to refund: the call still rejects with the denial', async () => {
      const { object, tier } = borrow('9/hour', '1/hour')
      await object.first()
      tier.failures.refund = new Error('connection lost')
      await expect(object.first()).rejects.toThrow(RateLimitExceeded)
    })

    it('an async generator waits for it, then yields and returns as before', async () => {
      const { object } = borrow('1/hour')
      const steps = object.stream()
      expect([await steps.next(), await steps.next()]).toEqual([
        { done: false, value: 1 },
        { done: true, value: 'end' },
      ])
      object.stream()
      await expect(object.stream().next()).rejects.toThrow(RateLimitExceeded)
      expect(object.runs).toBe(1)
    })

    it('stays open when the limiters of the method are closed', async () => {
      const { object, Borrowing, limiter } = borrow('9/hour')
      closeLimiters(Borrowing.prototype.first)
      expect(limiter.allow('k')).toBe(true)
      await expect(object.first()).rejects.toMatchObject({ code: 'CLOSED' })
      expect(limiter.peek('k').remaining, 'what it had paid was given back').toBe(8)
    })
  },
)

it('with a synchronous limiter the method stays synchronous', () => {
  const limiter = new RateLimiter('2/hour')
  const context = { kind: 'method', name: 'm' } as ClassMethodDecoratorContext
  const method = { m: () => 'ran' }.m
  const [one, other] = [limit({ limiter })(method, context), limit({ limiter })(method, context)]
  expect([one(), other()]).toEqual(['ran', 'ran'])
  expect(one, 'both share the budget of the key').toThrow(RateLimitExceeded)
})

it('closeLimiters does not close limiters that were given to the decorator', () => {
  const limiter = new RateLimiter('9/hour')
  const context = { kind: 'method', name: 'm' } as ClassMethodDecoratorContext
  const limited = limit({ limiter })({ m: () => 'ran' }.m, context)
  closeLimiters(limited)
  expect(limited()).toBe('ran')
})
