import Fastify from 'fastify'
import { RateLimiter } from 'ratethrottle'
import rateThrottle from 'ratethrottle/fastify'
import { type Insight, insight } from 'ratethrottle/insight'
import { shield } from 'ratethrottle/shield'

/** A service with limits, whose figures are to be seen. */
export interface LimitedService {
  readonly view: Insight
  /** Some requests on each route, of which some are refused. */
  ask(): Promise<void>
  close(): Promise<void>
}

/** A Fastify service on a port of its own with limits, a shield and calls made by hand. */
export async function startLimitedService(): Promise<LimitedService> {
  const view = insight({ top: 10 })
  view.configured(() => ({ stale: false, loadedAt: Date.now() }))
  const guard = shield({ mode: 'watch' })
  const byHand = new RateLimiter(['5/second', '6/minute'], { name: 'mail', insight: view })
  const app = Fastify()
  await app.register(rateThrottle, { limits: '10/second', insight: view, shield: guard })
  app.get('/users/:id', async () => 'hello')
  app.get(
    '/search',
    { config: { rateLimit: { limits: '2/second', dryRun: true } } },
    async () => '',
  )
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    view,
    async ask() {
      // One decision of 256 is timed.
      for (let i = 0; i < 1000; i++) byHand.allow(`user:${i % 3}`)
      for (let i = 0; i < 15; i++) {
        for (const path of [`/users/${i}`, '/search', `/missing/${i}`]) {
          await (await fetch(`${url}${path}`)).text()
        }
      }
    },
    async close() {
      await app.close()
      byHand.close()
      guard.close()
      view.close()
    },
  }
}

/** The example of this package, as `npm start` runs it, with more requests than it admits. */
export async function startExample(): Promise<LimitedService> {
  const view = insight()
  const { buildService } = await import('../../../examples/fastify.ts')
  const app = await buildService({ insight: view })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    view,
    async ask() {
      for (let i = 0; i < 30; i++) {
        await (await fetch(`${url}/api/public`)).text()
        await (await fetch(`${url}/api/report`, { method: 'POST' })).text()
      }
    },
    async close() {
      await app.close()
      view.close()
    },
  }
}
