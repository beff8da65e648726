import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect as connectHttp2, constants } from 'node:http2'
import { createRequire } from 'node:module'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import express from 'express'
import Fastify from 'fastify'
import {
  type Overload,
  type OverloadOptions,
  overload,
  type RejectEvent,
} from 'ratethrottle/overload'
import { describe, expect, it } from 'vitest'
import { expectWarnings } from '../fixtures/warnings.ts'
import { text } from '../http/client.ts'
import { type Served, serveApp } from '../http/serve.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

type Handle = (url: string, response: ServerResponse) => Promise<string> | string

interface Behind extends Served {
  readonly valve: Overload
}

const FRAMEWORKS = {
  fastify: (valve: Overload, handle: Handle) => {
    const app = Fastify()
    app.addHook('onRequest', valve.hook)
    app.get('/*', (request, reply) => handle(request.url, reply.raw))
    return app
  },
  'express 5': (valve: Overload, handle: Handle) => onExpress(express(), valve, handle),
  'express 4': (valve: Overload, handle: Handle) => onExpress(express4(), valve, handle),
  'node:http': (valve: Overload, handle: Handle) =>
    createServer(
      valve.wrap(async (request, response) => {
        response.end(await handle(request.url ?? '', response))
      }),
    ),
  'by hand': (valve: Overload, handle: Handle) =>
    createServer(async (request: IncomingMessage, response: ServerResponse) => {
      if (valve.enter('normal', response) !== undefined) {
        response.end(await handle(request.url ?? '', response))
        return
      }
      response.statusCode = 503
      response.setHeader('retry-after', '2').end()
    }),
} as const

function onExpress(app: express.Express, valve: Overload, handle: Handle): express.Express {
  // Twice: a request counts once.
  app.use(valve, valve)
  app.get(/.*/, async (request, response) => {
    response.end(await handle(request.originalUrl, response))
  })
  return app
}

async function serve(
  framework: keyof typeof FRAMEWORKS,
  handle: Handle,
  options: OverloadOptions = {},
): Promise<Behind> {
  const valve = overload(options)
  const served = await serveApp(FRAMEWORKS[framework](valve, handle))
  return { ...served, valve }
}

/** Waits until it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(5)
}

const names = Object.keys(FRAMEWORKS) as (keyof typeof FRAMEWORKS)[]

describe.each(names)('%s', (framework) => {
  /** A server whose requests wait until they are let go. */
  async function holding(options: OverloadOptions) {
    const held: (() => void)[] = []
    const handle: Handle = (url) =>
      url === '/now' ? 'now' : new Promise((resolve) => held.push(() => resolve('held')))
    return { held, ...(await serve(framework, handle, options)) }
  }

  it('answers 503 at once while as many are served as may be, and serves again when one has ended', async () => {
    const { held, ask, valve } = await holding({ maxInFlight: 2, retryAfter: '2 seconds' })
    const served = [ask('/a'), ask('/b')]
    await until(() => held.length === 2)
    const refused = await ask('/now')
    expect(refused.status).toBe(503)
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(2)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(4)
    if (framework !== 'by hand') {
      expect(refused.headers['content-type']).toBe('application/problem+json')
      expect(refused.headers['cache-control']).toBe('no-store')
      expect(JSON.parse(refused.body)).toEqual({
        type: 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
        title: 'Service Unavailable',
        status: 503,
        detail: 'Capacity is reduced for the time being, retry later',
      })
    }
    for (const go of held) go()
    expect((await Promise.all(served)).map(({ body }) => body)).toEqual(['held', 'held'])
    expect((await ask('/now')).status).toBe(200)
    await until(() => valve.state().inFlight === 0)
    expect(valve.state()).toMatchObject({ admitted: 3, rejected: { normal: 1 }, limit: 2 })
  })

  it('a client that leaves gives its place back, before and in the middle of its response', async () => {
    const served = await serve(
      framework,
      (url, response) => {
        if (url === '/begun') response.write('begun')
        return new Promise(() => {})
      },
      { maxInFlight: 50 },
    )
    const { valve, port } = served
    for (const path of ['/waits', '/begun']) {
      const sockets = Array.from({ length: 20 }, () => {
        const socket = connect(port, '127.0.0.1')
        socket.on('error', () => {})
        socket.write(text(path))
        return socket
      })
      await until(() => valve.state().inFlight === 20)
      for (const socket of sockets) socket.resetAndDestroy()
      await until(() => valve.state().inFlight === 0)
    }
  })

  it('requests that wait behind others on their connection give their places back as well', async () => {
    const { valve, held, port } = await holding({ maxInFlight: 50 })
    for (let round = 0; round < 3; round++) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.write(text('/a') + text('/now') + text('/b') + text('/c'))
      await until(() => held.length === 3 * (round + 1))
      socket.destroy()
      await until(() => valve.state().inFlight === 0)
    }
    for (const go of held) go()
    await delay(10)
    expect(valve.state().inFlight).toBe(0)
  })
})

it('HTTP/2: a stream that its client resets gives its place back, and so does a lost connection', async () => {
  const valve = overload({ maxInFlight: 2 })
  const app = Fastify({ http2: true })
  app.addHook('onRequest', valve.hook)
  app.get('/now', () => 'now')
  app.get('/hangs', () => new Promise(() => {}))
  const client = connectHttp2(await app.listen({ port: 0, host: '127.0.0.1' }))
  const ask = (path: string) =>
    client
      .request({ ':path': path })
      .on('error', () => {})
      .resume()
  const statusOf = async (path: string) => (await once(ask(path), 'response'))[0][':status']
  expect(await statusOf('/now')).toBe(200)
  const streams = [ask('/hangs'), ask('/hangs')]
  await until(() => valve.state().inFlight === 2)
  expect(await statusOf('/now')).toBe(503)
  for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL)
  await until(() => valve.state().inFlight === 0)
  ask('/hangs')
  await until(() => valve.state().inFlight === 1)
  client.destroy()
  await until(() => valve.state().inFlight === 0)
  await app.close()
})

it('a handler that fails gives the place back: Fastify and Express', async () => {
  for (const framework of ['fastify', 'express 5'] as const) {
    const fail = (): string => {
      throw Object.assign(new Error('no'), { statusCode: 418 })
    }
    const { ask, valve } = await serve(framework, fail, { maxInFlight: 1 })
    for (let i = 0; i < 5; i++) expect((await ask('/')).status).toBe(418)
    await until(() => valve.state().inFlight === 0)
  }
})

it('keeps places free for what matters more', async () => {
  const held: (() => void)[] = []
  const { ask, valve } = await serve(
    'node:http',
    () => new Promise((resolve) => held.push(() => resolve('held'))),
    {
      maxInFlight: 10,
      priority: ({ headers }) => headers['x-priority'] as 'critical',
    },
  )
  const answers: Promise<{ status: number }>[] = []
  const send = async (priority: string, count: number) => {
    for (let i = 0; i < count; i++) {
      const { admitted, rejected } = valve.state()
      const before = admitted + Object.values(rejected).reduce((a, b) => a + b)
      answers.push(ask('/', { headers: { 'x-priority': priority } }))
      await until(() => {
        const now = valve.state()
        const { critical, normal, background } = now.rejected
        return now.admitted + critical + normal + background > before
      })
    }
  }
  await send('background', 8)
  expect(valve.state()).toMatchObject({ inFlight: 6, rejected: { background: 2, normal: 0 } })
  await send('normal', 4)
  expect(valve.state()).toMatchObject({ inFlight: 8, rejected: { normal: 2, critical: 0 } })
  await send('critical', 4)
  expect(valve.state()).toMatchObject({ inFlight: 10, rejected: { critical: 2 } })
  for (const go of held) go()
  await Promise.all(answers)
})

it('hook and channel hear of each refusal', async () => {
  const hooked: RejectEvent[] = []
  const heard: unknown[] = []
  const listen = (event: unknown) => heard.push(event)
  subscribe('ratethrottle:overload', listen)
  const valve = overload({ maxInFlight: 1, onReject: (event) => hooked.push(event) })
  const permit = valve.enter()
  expect(valve.enter('background')).toBeUndefined()
  permit?.done()
  permit?.done()
  expect(valve.state().inFlight).toBe(0)
  unsubscribe('ratethrottle:overload', listen)
  const event = { request: undefined, priority: 'background', reason: 'in-flight' }
  expect(hooked).toEqual([event])
  expect(heard).toEqual([event])
})

describe('functions that fail', () => {
  expectWarnings('RATETHROTTLE_HOOK_FAILED')

  it('end no process where a hook is asynchronous and rejects', async () => {
    const unhandled: unknown[] = []
    const note = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', note)
    const valve = overload({
      maxInFlight: 1,
      onReject: (() => Promise.reject(new Error('broken'))) as () => void,
    })
    const permit = valve.enter()
    expect(valve.enter()).toBeUndefined()
    await new Promise((resolve) => setTimeout(resolve, 20))
    process.off('unhandledRejection', note)
    permit?.done()
    valve.close()
    expect(unhandled).toEqual([])
  })

  it('change nothing: the request is normal, and refused or served as any other', async () => {
    const fail = (): never => {
      throw new Error('broken')
    }
    const options = { maxInFlight: 1, priority: fail, onReject: fail }
    const { ask, valve } = await serve('node:http', () => 'done', options)
    expect((await ask('/')).status).toBe(200)
    await until(() => valve.state().inFlight === 0)
    const permit = valve.enter()
    expect((await ask('/')).status).toBe(503)
    permit?.done()
    const wrong = overload({ maxInFlight: 1, priority: () => 'urgent' as 'critical' })
    const served = await serveApp(createServer(wrong.wrap((_, response) => response.end('done'))))
    expect((await served.ask('/')).status).toBe(200)
  })
})

it('an event loop that has no time left is seen, and serves again when it has', async () => {
  const { ask, valve } = await serve('node:http', () => {
    for (const end = performance.now() + 5; performance.now() < end; );
    return 'done'
  })
  expect((await ask('/')).status).toBe(200)
  let isFlooding = true
  const seen = new Set<number>()
  const caller = async () => {
    while (isFlooding) seen.add((await ask('/')).status)
  }
  const callers = Array.from({ length: 150 }, caller)
  await until(() => seen.has(503))
  expect(valve.state().capacity).toBeLessThan(400)
  isFlooding = false
  await Promise.all(callers)
  while (valve.state().capacity < Number.POSITIVE_INFINITY) {
    await ask('/')
    await delay(20)
  }
  expect((await ask('/')).status).toBe(200)
  valve.close()
})

it('a permit that the program has lost is given back', async () => {
  const { setFlagsFromString } = await import('node:v8')
  setFlagsFromString('--expose-gc')
  const collect = (await import('node:vm')).runInNewContext('gc') as () => void
  const valve = overload({ maxInFlight: 5 })
  for (let i = 0; i < 5; i++) valve.enter()
  expect(valve.enter()).toBeUndefined()
  while (valve.state().inFlight > 0) {
    await delay(5)
    collect()
  }
})

it.each([
  [{ maxInFlight: 0 }, 'maxInFlight must be an integer from 1 to 1000000, got 0'],
  [{ maxInFlight: 'all' }, 'maxInFlight must be "auto" or an integer from 1, got "all"'],
  [{ maxInFlight: 5, min: 2 }, 'maxInFlight must be "auto" where min or max is given, got 5'],
  [{ min: 9, max: 8 }, 'min must be at most max (8), got 9'],
  [{ max: -1 }, 'max must be an integer from 1 to 1000000, got -1'],
  [{ priority: 'critical' }, 'priority must be a function, got "critical"'],
  [{ retryAfter: 0 }, /^retryAfter must be a duration/],
  [{ onReject: 1 }, 'onReject must be a function, got 1'],
  [{ clock: 1 }, /^clock must be/],
  [{ limit: 1 }, /^unknown option "limit"/],
])('refuses options that are wrong: %o', (options, message) => {
  expect(() => overload(options as OverloadOptions)).toThrow(message)
  try {
    overload(options as OverloadOptions)
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_OPTION' })
  }
})

it('enter refuses a priority that there is not', () => {
  expect(() => overload({}).enter('urgent' as 'critical')).toThrow(
    'priority must be "critical", "normal" or "background", got "urgent"',
  )
})
