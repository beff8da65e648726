import type { MiddlewareHandler } from 'astro'
import { rateThrottle } from 'ratethrottle/web'

const limiter = rateThrottle({
  limits: '100/hour',
  address: (_request, context) => context.clientAddress,
})

export const onRequest: MiddlewareHandler = async (context, next) => {
  const { response, apply } = await limiter.check(context.request, context)
  return response ?? apply(await next())
}
