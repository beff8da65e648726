import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { RateLimiter } from 'ratethrottle'
import { expect, it } from 'vitest'

/** Runs code in a worker that has RateLimiter; answers with what it posts. */
async function inWorker(code: string): Promise<unknown> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads')
     const { RateLimiter } = require('ratethrottle')
     parentPort.postMessage((() => { ${code} })())`,
    { eval: true },
  )
  const [answer] = await once(worker, 'message')
  await worker.terminate()
  return answer
}

it('limiters of one name share their state in all threads', async () => {
  const limiter = new RateLimiter('3/hour', { name: 'one-state' })
  expect(limiter.allow('k')).toBe(true)
  const code = `return new RateLimiter('3/hour', { name: 'one-state' }).check('k').remaining`
  expect(await inWorker(code)).toBe(1)
  expect(limiter.check('k').remaining).toBe(0)
  limiter.close()
})

it('two limiters of one name with different options get an error', () => {
  const limiter = new RateLimiter('3/hour', { name: 'disagree' })
  for (const options of [
    { algorithm: 'fixed-window' },
    { capacity: 7 },
    { blockFor: 1 },
  ] as const) {
    expect(() => new RateLimiter('3/hour', { name: 'disagree', ...options })).toThrow(
      expect.objectContaining({ code: 'NAME_IN_USE' }),
    )
  }
  expect(() => new RateLimiter('4/hour', { name: 'disagree' })).toThrow('name')
  limiter.close()
})

it('a name is free again when its last limiter is closed or its thread has ended', async () => {
  const first = new RateLimiter('3/hour', { name: 'freed' })
  first.allow('k')
  first.close()
  const second = new RateLimiter('5/hour', { name: 'freed' })
  expect(second.peek('k').remaining).toBe(5)
  second.close()
  await inWorker(`new RateLimiter('9/hour', { name: 'freed' }).allow('k'); return 0`)
  const third = new RateLimiter('2/hour', { name: 'freed' })
  expect(third.peek('k').remaining).toBe(2)
  third.close()
})

it('limiters without a name share no state', () => {
  const [a, b] = [new RateLimiter('1/hour'), new RateLimiter('1/hour')]
  expect([a.allow('k'), b.allow('k')]).toEqual([true, true])
})
