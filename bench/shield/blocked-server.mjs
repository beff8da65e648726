// A server of which every client is blocked: the child of connections.mjs.
import { createServer } from 'node:http'
import express from 'express'
import Fastify from 'fastify'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { shield } from 'ratethrottle/shield'

const [framework, kind] = process.argv.slice(2)
const guard = shield({ mode: 'enforce' })
guard.block('127.0.0.1', 3_600_000)
const options = kind === 'limit' ? { limits: '1/day' } : { shield: guard }

async function build() {
  if (framework === 'fastify') {
    const app = Fastify()
    await app.register(forFastify, options)
    app.get('/', async () => 'hello')
    await app.ready()
    return app.server
  }
  if (framework === 'express') {
    const app = express()
    app.use(forExpress(options))
    app.get('/', (_request, response) => response.send('hello'))
    return createServer(app)
  }
  return createServer(forHttp(options).wrap((_request, response) => response.end('hello')))
}

const server = await build()
if (kind === '429' || kind === 'reset') guard.protect(server, { answer: kind })
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address()
  // The limit is used up.
  if (kind === 'limit') await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text())
  process.send(port)
})
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send(user + system)
})
process.on('disconnect', () => process.exit())
