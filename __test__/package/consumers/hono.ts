import { Hono } from 'hono'
import { rateThrottle } from 'ratethrottle/hono'

const app = new Hono()
// A request without a socket has no address, so the caller is named.
app.use(rateThrottle({ limits: '2/minute', key: () => 'ada' }))
app.get('/', (context) => context.text('served'))

async function main(): Promise<void> {
  const get = async (): Promise<number> => (await app.request('/')).status
  console.log([await get(), await get(), await get()].join(' '))
}

void main()
