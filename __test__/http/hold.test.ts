import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { describe, expect, it } from 'vitest'
import { PATIENCE } from '../fixtures/patience.ts'
import { listen, serve } from './serve.ts'

const OPTIONS = { limits: '2/hour', countWhen: 'failure' } as const

describe('countWhen: requests that wait for their turn', () => {
  it('leave the queue when their client disconnects, so a client cannot fill memory', async () => {
    let finish = () => {}
    const until = new Promise<void>((resolve) => {
      finish = resolve
    })
    let seen = 0
    const denied: unknown[] = []
    const options = {
      ...OPTIONS,
      skip: () => {
        seen++
        return false
      },
      onDeny: () => denied.push(1),
    }
    const { ask, runs } = await serve('node:http', options, async () => {
      await until
      return 200
    })
    const held = Promise.all([ask(), ask()])
    while (runs() < 2) await sleep(1)
    const controller = new AbortController()
    const gone = Array.from({ length: 50 }, () =>
      ask('/', { signal: controller.signal }).catch(() => 'gone'),
    )
    while (seen < 52) await sleep(1)
    controller.abort()
    await Promise.all(gone)
    // Reported before any outcome is known: they wait no longer.
    await expect.poll(() => denied.length, { timeout: 60_000 }).toBe(50)
    finish()
    expect((await held).map(({ status }) => status)).toEqual([200, 200])
    expect(runs()).toBe(2)
  })

  it('are not charged if their client disconnects', async () => {
    let finish = () => {}
    const until = new Promise<void>((resolve) => {
      finish = resolve
    })
    let seen = 0
    let left = 0
    const options = {
      ...OPTIONS,
      skip: () => {
        seen++
        return false
      },
      onDeny: () => left++,
    }
    const { ask, runs, statuses } = await serve('Express 5', options, async (path) => {
      if (path === '/slow') await until
      return path === '/bad' ? 400 : 200
    })
    const held = Promise.all([ask('/slow'), ask('/slow')])
    while (runs() < 2) await sleep(1)
    const controller = new AbortController()
    const gone = Array.from({ length: 5 }, () =>
      ask('/', { signal: controller.signal }).catch(() => 'gone'),
    )
    while (seen < 7) await sleep(1)
    controller.abort()
    await Promise.all(gone)
    await expect.poll(() => left).toBe(5)
    finish()
    await held
    // Both good requests were refunded, and no handler ran for the disconnected clients.
    expect(runs()).toBe(2)
    expect(await statuses(3, '/bad')).toEqual([400, 400, 429])
  })

  it('of one scope wait in one queue: a good request on another route is not refused', async () => {
    const limiter = rateThrottle({})
    const app = express()
    const otp = () => limiter.limit({ ...OPTIONS, scope: 'review-hold' })
    const answer = async (_: express.Request, res: express.Response) => {
      await sleep(30)
      res.send('done')
    }
    app.get('/a', otp(), answer)
    app.get('/b', otp(), answer)
    const base = await listen(app)
    const paths = ['/a', '/a', '/b', '/b', '/a', '/b']
    const statuses = await Promise.all(paths.map(async (path) => (await fetch(base + path)).status))
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200])
  })

  it('that wait in two queues for each other all end', async () => {
    const limiter = rateThrottle({ outcomeTimeoutMs: 500 })
    const app = express()
    const slowly = (_: express.Request, __: express.Response, next: () => void) => {
      setTimeout(next, 30)
    }
    const a = limiter.limit({ limits: '1/hour', countWhen: 'failure' })
    const b = limiter.limit({ limits: '1/hour', countWhen: 'failure' })
    const answer = (_: express.Request, res: express.Response) => {
      res.send('done')
    }
    app.get('/x', a, slowly, b, answer)
    app.get('/y', b, slowly, a, answer)
    const base = await listen(app)
    const signal = AbortSignal.timeout(PATIENCE)
    const both = ['/x', '/y'].map((path) =>
      fetch(base + path, { signal }).then(
        ({ status }) => status,
        () => 'never answered',
      ),
    )
    const statuses = await Promise.all(both)
    expect(statuses).not.toContain('never answered')
  })
})
