import express from 'express'
import { FakeClock, RateLimiter } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/express'
import { expect, it } from 'vitest'
import { listen, serve } from './serve.ts'

it('the routes of one scope share the steps of blockFor, and none shortens the block of another', async () => {
  const clock = new FakeClock()
  const limiter = rateThrottle({})
  const app = express()
  const otp = () =>
    limiter.limit({
      limits: '1/second',
      algorithm: 'fixed-window',
      scope: 'review-steps',
      blockFor: ['1 minute', '1 hour'],
      clock,
    })
  const answer = (_: express.Request, res: express.Response) => {
    res.send('done')
  }
  app.get('/a', otp(), answer)
  app.get('/b', otp(), answer)
  const base = await listen(app)
  const ask = async (path: string) => {
    const { status, headers } = await fetch(base + path)
    return [status, headers.get('retry-after')]
  }
  expect(await ask('/a')).toEqual([200, null])
  expect(await ask('/a')).toEqual([429, '60'])
  clock.advance(60_001)
  expect(await ask('/a')).toEqual([200, null])
  expect(await ask('/a')).toEqual([429, '3600'])
  // Blocked for an hour. Asking elsewhere is no way out.
  expect((await ask('/b'))[0]).toBe(429)
  clock.advance(61_000)
  expect((await ask('/a'))[0]).toBe(429)
})

it('a key that was blocked within the last day gets the next step, not the first', async () => {
  const clock = new FakeClock()
  const { ask } = await serve('node:http', {
    limits: '1/second',
    algorithm: 'fixed-window',
    blockFor: ['1 minute', '1 day'],
    clock,
  })
  const waits: (string | undefined)[] = []
  for (let i = 0; i < 4; i++) {
    await ask()
    const { headers } = await ask()
    waits.push(headers['retry-after'])
    clock.advance(Number(headers['retry-after']) * 1000 + 1)
  }
  // "The last step is for all that follow."
  expect(waits).toEqual(['60', '86400', '86400', '86400'])
})

it('a longer block set with block() is not replaced by a step', async () => {
  const clock = new FakeClock()
  const limits = '1/second'
  const counting = { algorithm: 'fixed-window', name: 'operator-steps', clock } as const
  const key = () => 'ada'
  const { ask } = await serve('node:http', {
    limits,
    ...counting,
    key,
    blockFor: ['1 second', '2 seconds'],
  })
  const operator = new RateLimiter(limits, counting)
  operator.block('ada', 3_600_000)
  for (let i = 0; i < 4; i++) {
    const { status, headers } = await ask()
    expect([status, Number(headers['retry-after']) > 3_000]).toEqual([429, true])
    clock.advance(2_500)
  }
  operator.close()
})

it('two requests that see one offence at once begin one block', async () => {
  const clock = new FakeClock()
  const options = { limits: '1/second', algorithm: 'fixed-window', clock } as const
  const { ask } = await serve('node:http', {
    ...options,
    blockFor: ['1 minute', '10 minutes', '1 hour'],
  })
  await ask()
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask()))
  const waits = answers.map(({ headers }) => Number(headers['retry-after']))
  expect(Math.max(...waits)).toBe(60)
  clock.advance(60_001)
  await ask()
  expect((await ask()).headers['retry-after']).toBe('600')
})
