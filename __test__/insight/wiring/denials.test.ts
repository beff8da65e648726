import { insight } from 'ratethrottle/insight'
import { expect, onTestFinished, test } from 'vitest'
import { serve } from '../../http/serve.ts'

/*
 * Denials that no call of a limiter makes: of requests that ask for a place in a queue, or cost more than the limit. To an
 * operator a 429 is a denial by a limit, of a key.
 */

test.each([
  ['slowDown, a place too late', { limits: '4/second', slowDown: 300 }, 12],
  ['slowDown, a full queue', { limits: '2/second', slowDown: 5_000, maxWaitersPerKey: 1 }, 6],
  ['slowDown, a dear request', { limits: '4/second', slowDown: 300, cost: 5 }, 3],
  ['countWhen, a dear request', { limits: '2/hour', countWhen: 'success', cost: 3 }, 4],
  [
    'countWhen with blocks in steps, a dear request',
    { limits: '2/hour', countWhen: 'success', cost: 3, blockFor: ['1 minute', '1 hour'] },
    4,
  ],
  ['countWhen, a used-up limit', { limits: '2/hour', countWhen: 'success' }, 6],
] as const)('%s: each 429 is a denial, with its key', async (_, options, count) => {
  const view = insight({ keys: 'plain' })
  onTestFinished(() => view.close())
  const { ask } = await serve('Fastify 5', { ...options, insight: view } as never)
  const answers = await Promise.all(Array.from({ length: count }, () => ask('/')))
  const refused = answers.filter(({ status }) => status === 429).length
  expect(refused).toBeGreaterThan(0)
  const { limits, top } = view.report()
  const [limit] = limits
  expect(limit).toMatchObject({ admitted: count - refused, denied: refused, gaveUp: 0 })
  expect(limit?.deniedBy).toEqual([refused])
  expect(top.denied.map((one) => one.count)).toEqual([refused])
})
