import express from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { expect, it } from 'vitest'
import { listen } from './serve.ts'

it('a denial does not search all routes for an error handler', async () => {
  const app = express()
  app.use(rateThrottle({ limits: '1/hour' }))
  app.get('/', (_, res) => void res.send('done'))
  for (let i = 0; i < 2_000; i++) app.get(`/r${i}`, (_, res) => void res.send('done'))
  let looks = 0
  const layer = (app as unknown as { router: { stack: { handle: unknown }[] } }).router.stack.at(-1)
  const handle = layer?.handle
  Object.defineProperty(layer, 'handle', {
    get: () => {
      looks++
      return handle
    },
  })
  const base = await listen(app)
  const start = performance.now()
  const statuses: number[] = []
  for (let i = 0; i < 100; i++) statuses.push((await fetch(base)).status)
  expect(statuses.filter((status) => status === 429).length).toBe(99)
  // Once a second: a router inside may have got an error handler.
  expect(looks).toBeLessThanOrEqual(1 + (performance.now() - start) / 1000)
})

it('an error handler that is added after a denial is used for the next one', async () => {
  const app = express()
  app.use(rateThrottle({ limits: '1/hour' }))
  app.get('/', (_, res) => void res.send('done'))
  const base = await listen(app)
  const bodies: string[] = []
  for (let i = 0; i < 2; i++) bodies.push(await (await fetch(base)).text())
  expect(JSON.parse(bodies[1] ?? '')).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' })
  app.use(((_error, _req, res, _next) => {
    res.status(429).send('mine')
  }) as express.ErrorRequestHandler)
  expect(await (await fetch(base)).text()).toBe('mine')
})
