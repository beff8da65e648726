import { fromNodeMiddleware } from 'h3'
import { rateThrottle } from 'ratethrottle/http'

const limiter = rateThrottle({ limits: '100/hour' })

export default fromNodeMiddleware(limiter.middleware)
