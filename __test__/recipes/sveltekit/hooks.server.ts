import type { Handle } from '@sveltejs/kit'
import { rateThrottle } from 'ratethrottle/web'

const limiter = rateThrottle({
  limits: '100/hour',
  address: (_request, event) => event.getClientAddress(),
})

export const handle: Handle = async ({ event, resolve }) => {
  const { response, apply } = await limiter.check(event.request, event)
  return response ?? apply(await resolve(event))
}
