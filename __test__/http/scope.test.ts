import express from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { expect, it } from 'vitest'
import { listen } from './serve.ts'

async function statuses(app: unknown, count: number): Promise<number[]> {
  const base = await listen(app)
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push((await fetch(base)).status)
  return seen
}

const done: express.RequestHandler = (_, res) => void res.send('done')

it('two limiters of one scope with different keys both charge a request', async () => {
  const limiter = rateThrottle()
  let calls = 0
  const byCall = () => `address ${calls++}`
  const app = express()
  app.use(limiter.limit({ limits: '2/hour', scope: 'review-keys', key: byCall }))
  app.use(limiter.limit({ limits: '2/hour', scope: 'review-keys', key: () => 'account' }))
  app.get('/', done)
  expect(await statuses(app, 4)).toEqual([200, 200, 429, 429])
})

it('two limiters of one scope with the same key charge a request once', async () => {
  const limiter = rateThrottle()
  const app = express()
  app.use(limiter.limit({ limits: '2/hour', scope: 'review-once' }))
  app.use(limiter.limit({ limits: '2/hour', scope: 'review-once' }))
  app.get('/', done)
  expect(await statuses(app, 4)).toEqual([200, 200, 429, 429])
})

it('a dry run in a scope does not exempt a request from the other limiters of the scope', async () => {
  const denied: boolean[] = []
  const onDeny = ({ dryRun }: { dryRun: boolean }) => void denied.push(dryRun)
  const options = { limits: '2/hour', scope: 'review-dry', onDeny } as const
  const app = express()
  app.use(rateThrottle({ ...options, dryRun: true }))
  app.use(rateThrottle(options))
  app.get('/', done)
  expect(await statuses(app, 4)).toEqual([200, 200, 429, 429])
  expect(denied).toEqual([true, false, true, false])
})

it('a refused request is refused again when it is checked again', async () => {
  const limiter = forHttp({ limits: '1/hour' })
  const seen: unknown[] = []
  const base = await listen((async (request, response) => {
    seen.push([await limiter.admit(request, response), await limiter.admit(request, response)])
    if (!response.writableEnded) response.end('done')
  }) as Parameters<typeof limiter.wrap>[0])
  await fetch(base)
  await fetch(base)
  expect(seen).toEqual([
    [true, true],
    [false, false],
  ])
})
