import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defineConfig } from 'ratethrottle/config'
import { rateThrottle } from 'ratethrottle/http'

async function main(): Promise<void> {
  const config = defineConfig({ limiters: { api: { limits: '2/minute' } } })
  const limiter = rateThrottle({ config })
  const server = createServer(limiter.wrap((_, response) => response.end('hello'))).listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const statuses: number[] = []
  for (let i = 0; i < 3; i++) statuses.push((await fetch(`http://127.0.0.1:${port}`)).status)
  console.log(statuses.join(' '))
  limiter.close()
  server.close()
  server.closeAllConnections()
}

void main()
