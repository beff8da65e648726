// One handler for Node, Bun and Deno. On Node it needs @hono/node-server. Run it: PORT=3000 node examples/web.mjs
import process from 'node:process'
import { rateThrottle } from 'ratethrottle/web'

const limiter = rateThrottle({ limits: '3/minute', concurrent: 10 })
const search = limiter.limit('2/minute')

const found = search.wrap((request) => Response.json({ found: new URL(request.url).search }))

// Each request is charged to both limits, or to neither.
const handler = limiter.wrap((request, info) => {
  const { pathname } = new URL(request.url)
  return pathname === '/search' ? found(request, info) : new Response('hello')
})

const where = { hostname: '127.0.0.1', port: Number(process.env.PORT ?? 3000) }
const tell = ({ port }) => console.log(`listening on ${port}`)
if ('Bun' in globalThis) tell(globalThis.Bun.serve({ ...where, fetch: handler }))
else if ('Deno' in globalThis) globalThis.Deno.serve({ ...where, onListen: tell }, handler)
else (await import('@hono/node-server')).serve({ ...where, fetch: handler }, tell)
