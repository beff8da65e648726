import Fastify from 'fastify'
import { FakeClock } from 'ratethrottle'
import fastifyRateThrottle from 'ratethrottle/fastify'

export type Limits = unknown

/** A server whose limits are those in `plan`, with a clock that only the test moves. */
export async function planned(options: object = {}, plan: { limits: Limits } = { limits: '1/s' }) {
  const clock = new FakeClock()
  const app = Fastify()
  const key = (request: { headers: Record<string, unknown> }) => `${request.headers['x-tenant']}`
  await app.register(
    fastifyRateThrottle as never,
    {
      limits: () => plan.limits,
      key,
      clock,
      ...options,
    } as never,
  )
  app.get('/', () => 'done')
  /** Sends a request under these limits. */
  const ask = async (limits: Limits, tenant = 'one') => {
    plan.limits = limits
    const { statusCode, headers } = await app.inject({ url: '/', headers: { 'x-tenant': tenant } })
    const number = (name: string) => (name in headers ? Number(headers[name]) : undefined)
    return {
      status: statusCode,
      retryAfter: number('retry-after'),
      remaining: number('x-ratelimit-remaining'),
      limit: number('x-ratelimit-limit'),
    }
  }
  /** How many of `times` requests were served. */
  const served = async (limits: Limits, times: number, tenant = 'one') => {
    let count = 0
    for (let i = 0; i < times; i++) count += Number((await ask(limits, tenant)).status === 200)
    return count
  }
  return { app, clock, ask, served }
}
