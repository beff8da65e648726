import { rateThrottle } from 'ratethrottle/web'
import { createContext, type MiddlewareFunction } from 'react-router'

export const clientAddress = createContext<string | undefined>()

const limiter = rateThrottle({
  limits: '100/hour',
  address: (_request, context) => context.get(clientAddress),
})

export const limits: MiddlewareFunction<Response> = async ({ request, context }, next) => {
  const { response, apply } = await limiter.check(request, context)
  return response ?? apply(await next())
}
