import type { Elysia } from 'elysia'
import { rateThrottle } from 'ratethrottle/web'

const limiter = rateThrottle({ limits: '100/hour' })

export const limits = (app: Elysia) =>
  app.onRequest(async ({ request, server, set }) => {
    const { response, headers } = await limiter.check(request, server)
    Object.assign(set.headers, headers)
    return response
  })
