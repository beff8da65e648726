import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { rateThrottle } from 'ratethrottle/http'

const guard = rateThrottle({ limits: '2/minute' })
const server = createServer(guard.wrap((_request, response) => response.end('served')))

async function main(): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const get = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`)).status
  console.log([await get(), await get(), await get()].join(' '))
  server.closeAllConnections()
  server.close()
}

void main()
