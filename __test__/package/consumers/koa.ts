import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Koa, { type Context } from 'koa'
import { byHeader, byIp, byUser, firstOf, rateThrottle } from 'ratethrottle/koa'

const app = new Koa()
const limited = rateThrottle({ limits: '2/hour' })
const key = firstOf(
  byHeader('x-api-key'),
  byUser((ctx: Context) => ctx.get('x-user')),
  byIp(),
)
const keyed = rateThrottle({ limits: '1/hour', key })
app.use((ctx, next) => (ctx.path === '/keyed' ? keyed(ctx, next) : limited(ctx, next)))
app.use((ctx) => {
  ctx.body = `${ctx.state.rateLimit?.remaining}`
})

async function main(): Promise<void> {
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const get = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).status
  const root = [await get('/'), await get('/'), await get('/')]
  const user = [await get('/keyed'), await get('/keyed')]
  console.log(`${root.join(' ')} / ${user.join(' ')}`)
  server.closeAllConnections()
  server.close()
}

void main()
