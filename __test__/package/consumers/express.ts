import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express, { type Request, type Response } from 'express'
import { byHeader, byIp, byUser, firstOf, rateThrottle } from 'ratethrottle/express'

const app = express()
const limited = rateThrottle({ limits: '2/hour' })
const serve = (_request: Request, response: Response): void => {
  response.send('served')
}
const key = firstOf(
  byHeader('x-api-key'),
  byUser(() => undefined),
  byIp(),
)
app.get('/', limited, serve)
app.get('/search', limited.limit('1/minute'), serve)
app.get('/keyed', rateThrottle({ limits: '2/hour', key }), serve)
// Express would print each refusal; this is what a user's own error handler looks like.
app.use((error: unknown, _request: Request, response: Response, _next: () => void) => {
  response.status((error as { statusCode?: number }).statusCode ?? 500).end()
})

async function main(): Promise<void> {
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const get = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).status
  const root = [await get('/'), await get('/'), await get('/')]
  const search = [await get('/search'), await get('/search')]
  console.log(`${root.join(' ')} / ${search.join(' ')}`)
  server.closeAllConnections()
  server.close()
}

void main()
