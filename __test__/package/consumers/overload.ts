import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type OverloadOptions, overload, type Permit, type Priority } from 'ratethrottle/overload'

const options: OverloadOptions = {
  maxInFlight: 1,
  priority: ({ url }): Priority => (url === '/health' ? 'critical' : 'normal'),
}
const valve = overload(options)
const server = createServer(valve.wrap((_request, response) => response.end('served')))

async function main(): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const get = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`)).status
  const first = await get()
  const permit: Permit | undefined = valve.enter('critical')
  const second = await get()
  permit?.done()
  console.log([first, second, await get()].join(' '))
  server.closeAllConnections()
  server.close()
}

void main()
