import { defineHandler } from 'h3'
import { rateThrottle } from 'ratethrottle/web'

const limiter = rateThrottle({ limits: '100/hour' })

export default defineHandler(async (event) => {
  const { response, headers } = await limiter.check(event.req)
  for (const [name, value] of Object.entries(headers)) {
    event.res.headers.set(name, value)
  }
  return response
})
