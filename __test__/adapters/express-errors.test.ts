import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { rateThrottle } from 'ratethrottle/express'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { listen } from '../http/serve.ts'

const require = createRequire(`${process.cwd()}/`)
const express4 = require('express-4') as typeof express

/** What Express logs about errors. It logs nothing where NODE_ENV is `test`, which apps do not set. */
const logged: unknown[] = []
beforeEach(() => {
  vi.stubEnv('NODE_ENV', 'production')
  logged.length = 0
  vi.spyOn(console, 'error').mockImplementation((...line: unknown[]) => void logged.push(line))
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

const mine: ErrorRequestHandler = (_error, _request, response, _next) => {
  response.status(418).send('mine')
}
const ok: RequestHandler = (_, response) => void response.send('done')
/** The limiter admits nothing: so the first request is refused, too. */
const limiter = (): ReturnType<typeof rateThrottle> => rateThrottle({ limits: '5/hour', cost: 6 })

type Make = typeof express
/** The answer to a refused request for `/` in an app that is made like this. */
type Case = (make: Make) => unknown

/** No error handler is reached: the refusal is JSON. */
const UNREACHED: Record<string, Case> = {
  'for /admin only': (make) => make().use(limiter()).get('/', ok).use('/admin', mine),
  'before the limiter': (make) => make().use(mine).use(limiter()).get('/', ok),
  'in another router': (make) => {
    const other = make.Router().use(mine)
    return make().use(other).use('/other', other).use(limiter()).get('/', ok)
  },
  'in a router behind': (make) =>
    make().use(limiter()).get('/', ok).use(make.Router().get('/', ok).use(mine)),
  "in another route's handlers": (make) =>
    make()
      .get('/', limiter(), ok)
      .get('/other', ok, mine as never),
  'in another mounted app and for another path': (make) =>
    make().use(make().use(mine)).use(limiter()).get('/', ok).use('/other', mine),
  'for /admin only in a parent app': (make) =>
    make().use('/', make().use(limiter()).get('/', ok)).use('/admin', mine),
  'before the mounted app in its parent': (make) =>
    make().use(mine).use('/', make().use(limiter()).get('/', ok)),
  'for a method and path': (make) => {
    const app = make().use(limiter()) as Express
    app.post('/', ok, mine as never)
    return app.get('/', ok)
  },
  'but it passes the error on': (make) => {
    const pass: ErrorRequestHandler = (error, _request, _response, next) => next(error)
    return make().use(limiter()).get('/', ok).use(pass)
  },
}

/** The user's own error handler is reached: it answers. */
const REACHED: Record<string, Case> = {
  'of the app': (make) => make().use(limiter()).get('/', ok).use(mine),
  'of the router around it': (make) =>
    make().use(make.Router().use(limiter()).get('/', ok).use(mine)),
  'of a router around that router': (make) =>
    make().use(make.Router().use(make.Router().use(limiter()).get('/', ok)).use(mine)),
  'of its own route': (make) => make().get('/', limiter(), ok, mine as never),
  'of a parent app': (make) => make().use('/', make().use(limiter()).get('/', ok)).use(mine),
  'of the parent of a parent app': (make) =>
    make()
      .use(make().use(make().use(limiter()).get('/', ok)))
      .use(mine),
  'of the first of two parent apps': (make) => {
    const app = make().use(limiter()).get('/', ok) as Express
    const first = make().use(app).use(mine)
    make().use(app)
    return first
  },
  'of a router that is called by a function': (make) => {
    const router = make.Router().use(limiter()).get('/', ok).use(mine)
    return make().use((request, response, next) => router(request, response, next))
  },
  'of an app that calls another by a function, as vhost does': (make) => {
    const app = make().use(limiter()).get('/', ok) as Express
    return make()
      .use((request, response, next) => app(request, response, next))
      .use(mine)
  },
  'of a caller that passes its own final function': (make) => {
    const app = make().use(limiter()).get('/', ok) as unknown as {
      handle(request: unknown, response: unknown, done: (error?: unknown) => void): void
    }
    return createServer((request, response) =>
      app.handle(request, response, (error) => {
        response.statusCode = error === undefined ? 404 : 418
        response.end('mine')
      }),
    )
  },
  'of an app that asks itself for another path': (make) => {
    const app = make() as Express
    app.get('/', (request, response, next) => {
      request.url = '/inner'
      ;(app as unknown as { handle: RequestHandler }).handle(request, response, next)
    })
    return app.use(limiter()).get('/inner', ok).use(mine)
  },
}

async function answers(app: unknown): Promise<[status: number, text: string][]> {
  const { listeners } = app as { listeners?(event: string): unknown[] }
  const isServer = listeners !== undefined && typeof app !== 'function'
  const base = await listen(
    isServer ? (app as { listeners: typeof listeners }).listeners('request')[0] : app,
  )
  const seen: [number, string][] = []
  // The first of all, and one that comes when the app is known.
  for (let i = 0; i < 3; i++) {
    const response = await fetch(base, { headers: { accept: 'text/html' } })
    seen.push([response.status, await response.text()])
  }
  await new Promise((resolve) => setTimeout(resolve, 20))
  return seen
}

const code = (text: string): unknown => {
  try {
    return (JSON.parse(text) as { code?: unknown }).code
  } catch {
    return text.slice(0, 40)
  }
}

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
])('%s', (name, make) => {
  test.each(Object.keys(UNREACHED))(
    `${name}: a refusal is JSON with an error handler %s`,
    async (which) => {
      const seen = await answers(UNREACHED[which]?.(make))
      const all = seen.map(([status, text]) => [status, code(text)])
      expect(all).toEqual(Array(3).fill([429, 'RATE_LIMIT_EXCEEDED']))
      expect(logged).toEqual([])
    },
  )
})

test('an app that is both mounted and served directly answers each request correctly', async () => {
  for (const make of [express, express4]) {
    const app = make().use(limiter()).get('/', ok) as Express
    const parent = make().use('/api', app).use(mine)
    const alone = await listen(app)
    const mounted = await listen(parent)
    // The first request tells how requests come.
    await fetch(alone)
    logged.length = 0
    for (let i = 0; i < 2; i++) {
      expect(code(await (await fetch(alone)).text())).toBe('RATE_LIMIT_EXCEEDED')
      expect(await (await fetch(`${mounted}/api`)).text()).toBe('mine')
    }
    expect(logged).toEqual([])
  }
})

test('an error handler that is added later, or in a router, answers from then on', async () => {
  for (const make of [express, express4]) {
    const router = make.Router()
    const app = make().use(limiter()).get('/', ok).use('/admin', mine).use(router)
    const base = await listen(app)
    expect(code(await (await fetch(base)).text())).toBe('RATE_LIMIT_EXCEEDED')
    app.get('/later', ok)
    expect(code(await (await fetch(base)).text())).toBe('RATE_LIMIT_EXCEEDED')
    app.use(mine)
    expect(await (await fetch(base)).text()).toBe('mine')
    expect(logged).toEqual([])
  }
})

test('the error handler of the user answers wherever it is reached', async () => {
  for (const make of [express, express4]) {
    for (const [which, build] of Object.entries(REACHED)) {
      const seen = await answers(build(make))
      // A function that calls an app is known from the first request on.
      const known = /function|two parent apps/.test(which) ? seen.slice(1) : seen
      expect([which, ...known]).toEqual([which, ...known.map(() => [418, 'mine'])])
      expect(logged).toEqual([])
    }
  }
})
