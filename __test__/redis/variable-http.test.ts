import Fastify from 'fastify'
import fastifyRateThrottle from 'ratethrottle/fastify'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { ALGORITHMS } from '../fixtures/algorithms.ts'
import { type Server, startServer } from './server.ts'

let server: Server
let named = 0

beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.stop())

/** A server whose limits are those of `plan` at each request; its handler answers with `code`. */
async function serving(options: object) {
  const now = { plan: '1/second', code: 200 }
  const app = Fastify()
  const own = { storage: server.url, name: `http ${++named}`, deadlineMs: 30_000 }
  await app.register(
    fastifyRateThrottle as never,
    { ...own, limits: () => now.plan, key: () => 'one', ...options } as never,
  )
  app.get('/', (_, reply) => reply.code(now.code).send('done'))
  onTestFinished(() => app.close())
  const ask = async (plan: string, code = 200): Promise<number> => {
    Object.assign(now, { plan, code })
    return (await app.inject('/')).statusCode
  }
  return { app, ask }
}

it.each(ALGORITHMS)('%s: requests with different limits wait in one queue', async (algorithm) => {
  const { ask } = await serving({ algorithm, slowDown: '20 seconds' })
  const statuses = await Promise.all(
    ['2/second', '2/second', '3/second', '2/second', '3/second'].map((plan) => ask(plan)),
  )
  expect(statuses).toEqual([200, 200, 200, 200, 200])
})

it.each(ALGORITHMS)(
  '%s: a charge by outcome counts under the limits of the next request too',
  async (algorithm) => {
    const countWhen = ({ status }: { status: number }): boolean => status === 401
    const { ask } = await serving({ algorithm, countWhen })
    expect([await ask('3/hour', 401), await ask('3/hour', 401)]).toEqual([401, 401])
    // Good ones do not count, whatever the limits.
    for (const plan of ['3/hour', '4/hour', '5/hour', '3/hour']) expect(await ask(plan)).toBe(200)
    expect(await ask('3/hour', 401)).toBe(401)
    expect(await ask('3/hour')).toBe(429)
    expect(await ask('2/hour')).toBe(429)
  },
)
