import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createConcurrencyLimiter } from 'ratethrottle'
import { expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

it('callers of this host find what other processes give back, or held when they were killed', async () => {
  const storage = `shared:permits-${process.pid}`
  const limiter = createConcurrencyLimiter({ storage, perKey: 2, name: 'held', queue: 2 })
  onTestFinished(() => limiter.close())
  const start = async (): Promise<ReturnType<typeof fork>> => {
    const child = fork(join(ROOT, '__test__/permits/paused.mjs'), [storage])
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child, 'message')
    return child
  }
  const [releases, dies] = [await start(), await start()]
  expect(await limiter.held('k')).toBe(2)
  const order: number[] = []
  const waits = [1, 2].map(async (number) => {
    const permit = await limiter.acquire('k')
    order.push(number)
    return permit
  })
  releases.send('release it')
  await waits[0]
  expect(await limiter.held('k')).toBe(2)
  dies.kill('SIGKILL')
  const permits = await Promise.all(waits)
  expect(order).toEqual([1, 2])
  expect(permits.map(({ isLost }) => isLost)).toEqual([false, false])
  expect(await limiter.held('k')).toBe(2)
})
