import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express from 'express'
import Fastify from 'fastify'
import { FakeClock } from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import rateThrottle from 'ratethrottle/fastify'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { type Guard, shield } from 'ratethrottle/shield'
import { expect, it, onTestFinished } from 'vitest'
import { ADAPTERS, serve } from '../../http/serve.ts'

/** Servers whose logins fail, and where the program asks the guard before the adapter does. */
const ASKED_BEFORE: Record<string, (guard: Guard) => Promise<Server> | Server> = {
  'node:http': (guard) => {
    const limiter = forHttp({ shield: guard })
    const listener = limiter.wrap((_request, response) => response.writeHead(401).end())
    return createServer((request, response) => {
      guard.inspect(request)
      listener(request, response)
    })
  },
  Express: (guard) => {
    const app = express()
    app.use((request, _response, next) => {
      guard.inspect(request)
      next()
    })
    // Two middlewares of one guard tell it of an end once.
    app.use(forExpress({ shield: guard }), forExpress({ shield: guard }))
    app.use((_request, response) => void response.sendStatus(401))
    return createServer(app)
  },
  Fastify: async (guard) => {
    const app = Fastify()
    app.addHook('onRequest', async (request) => void guard.inspect(request))
    await app.register(rateThrottle, { shield: guard })
    app.get('/login', (_request, reply) => reply.code(401).send())
    onTestFinished(() => app.close())
    await app.ready()
    return app.server
  },
}

it.each(Object.keys(ASKED_BEFORE))(
  '%s: failures count where the program has asked the guard before the adapter',
  async (framework) => {
    const sensitive = ({ url }: IncomingMessage): boolean => url === '/login'
    const guard = shield({ mode: 'enforce', clock: new FakeClock(), sensitive })
    const server = await ASKED_BEFORE[framework]?.(guard)
    if (server === undefined) throw new Error('no server')
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const seen: number[] = []
    for (let i = 0; i < 60; i++) {
      seen.push((await fetch(`http://127.0.0.1:${port}/login`)).status)
    }
    expect(guard.isBlocked('127.0.0.1')).toBeGreaterThan(0)
    expect(seen.lastIndexOf(401)).toBe(seen.indexOf(429) - 1)
    // As many as without asking by hand: each failure is told once.
    expect(seen.indexOf(429)).toBe(await failuresUntilBlocked())
  },
)

/** How many logins of one source fail before the next one is refused. */
async function failuresUntilBlocked(): Promise<number> {
  const guard = shield({ mode: 'enforce', clock: new FakeClock() })
  for (let i = 0; ; i++) {
    const request = { ip: '127.0.0.1', path: '/login', sensitive: true }
    if (!guard.decide(request).allowed) return i
    guard.settle(request, 401)
  }
}

it.each(ADAPTERS)(
  '%s: a guard of another copy of the package is refused, and so is what only looks like one',
  async (framework) => {
    const own = shield({ mode: 'off' })
    const require = createRequire(`${process.cwd()}/`)
    const ours = Object.keys(require.cache).filter((file) => file.includes('/dist/shield/'))
    const kept = ours.map((file) => [file, require.cache[file]] as const)
    for (const file of ours) delete require.cache[file]
    const copy = require('ratethrottle/shield') as { shield: typeof shield }
    for (const [file, module] of kept) require.cache[file] = module
    const other = copy.shield({ mode: 'enforce', trust: 'loopback' })
    onTestFinished(() => other.close())
    expect(other).not.toBeInstanceOf(own.constructor)
    for (const guard of [other, { decide: () => {}, settle: () => {}, mode: 'off' }]) {
      const served = serve(framework, { shield: guard, limits: '9/minute' })
      await expect(served).rejects.toMatchObject({
        name: 'TypeError',
        code: 'INVALID_OPTION',
        message: expect.stringContaining('shield must be options of a shield, or a guard that'),
      })
    }
    const site = await serve(framework, { shield: own, limits: '9/minute' })
    expect(await site.statuses(1)).toEqual([200])
  },
)
