// An API for the pages of another site. Needs hono and @hono/node-server. Run it: PORT=3000 node examples/cors.mjs
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { cors } from 'hono/cors'
import { rateThrottle } from 'ratethrottle/hono'

const app = new Hono()

// Before the limiter: so it answers preflights, which are not counted, and its headers are on the 429, too.
app.use(
  cors({
    origin: 'https://app.example',
    exposeHeaders: [
      ...['Retry-After', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'],
      ...['RateLimit', 'RateLimit-Policy'],
    ],
  }),
)
app.use(rateThrottle({ limits: '3/minute', headers: 'both' }))
app.get('/', (c) => c.json({ data: 'public' }))

const { PORT = 3000 } = process.env
serve({ fetch: app.fetch, port: Number(PORT) }, ({ port }) => console.log(`listening on ${port}`))
