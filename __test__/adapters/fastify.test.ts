import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { FakeClock, RateLimitExceeded } from 'ratethrottle'
import rateThrottle from 'ratethrottle/fastify'
import { afterEach, describe, expect, it } from 'vitest'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

type Options = Parameters<typeof rateThrottle>[1]

const open: FastifyInstance[] = []
const agent = new Agent({ keepAlive: true, maxSockets: 200 })
afterEach(() => Promise.all(open.splice(0).map((app) => app.close())))

/** A server with the plugin and one route that counts its runs. */
async function serve(options: Options, routes?: (app: FastifyInstance) => void) {
  const app = Fastify()
  open.push(app)
  let runs = 0
  await app.register(rateThrottle, options)
  app.get('/', () => ({ runs: ++runs }))
  routes?.(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const ask = (path = '/', method = 'GET', headers = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port, path, method, headers, agent }, (res) => {
        let body = ''
        res.on('data', (data) => {
          body += data
        })
        res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body }))
      })
      call.on('error', reject)
      call.end()
    })
  const statuses = async (count: number, ...what: Parameters<typeof ask>): Promise<number[]> => {
    const seen: number[] = []
    for (let i = 0; i < count; i++) seen.push((await ask(...what)).status)
    return seen
  }
  return { app, ask, statuses, runs: () => runs }
}

describe('limits', () => {
  it('exactly N handler runs at limit N under 200 concurrent keep-alive requests, then 429', async () => {
    const { ask, runs } = await serve({ limits: '50/hour' })
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask()))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(50)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(150)
    expect(runs()).toBe(50)
  })

  it('the global limit covers routes from before the plugin, child scopes and unknown paths', async () => {
    const app = Fastify()
    open.push(app)
    app.get('/early', () => 'early')
    app.register(rateThrottle, { limits: '3/hour' })
    app.register(async (child) => {
      child.get('/child', () => 'child')
    })
    const paths = ['/early', '/child', '/unknown', '/early', '/child', '/unknown']
    const statuses: number[] = []
    for (const path of paths) statuses.push((await app.inject(path)).statusCode)
    expect(statuses).toEqual([200, 200, 404, 429, 429, 429])
  })

  it('a route may have limits as text, list, object or options, or none', async () => {
    const { statuses } = await serve({ limits: '1/hour' }, (app) => {
      const route = (path: string, rateLimit: unknown) =>
        app.get(path, { config: { rateLimit } as object }, () => 'ok')
      route('/text', '2/hour')
      route('/list', ['9/minute', '2/hour'])
      route('/object', { count: 2, windowMs: 3_600_000 })
      route('/options', { limits: '2/hour', algorithm: 'fixed-window' })
      route('/none', false)
    })
    for (const path of ['/text', '/list', '/object', '/options']) {
      expect(await statuses(3, path)).toEqual([200, 200, 429])
    }
    expect(await statuses(5, '/none')).toEqual([200, 200, 200, 200, 200])
    expect(await statuses(2)).toEqual([200, 429])
  })

  it('two limits on one route: a refused request is charged to neither', async () => {
    const clock = new FakeClock()
    const limits = ['2/minute', '3/hour']
    const { statuses } = await serve({ limits, clock, algorithm: 'fixed-window' })
    expect(await statuses(10)).toEqual([200, 200, ...Array(8).fill(429)])
    clock.advance(60_000)
    expect(await statuses(2)).toEqual([200, 429])
  })

  it('HEAD shares the budget of GET; POST on the same path and another path do not', async () => {
    const config = { rateLimit: '2/hour' }
    const { statuses } = await serve({}, (app) => {
      app.get('/a', { config }, () => 'a')
      app.post('/a', { config }, () => 'a')
      app.get('/b', { config }, () => 'b')
    })
    expect(await statuses(1, '/a')).toEqual([200])
    expect(await statuses(2, '/a', 'HEAD')).toEqual([200, 429])
    expect(await statuses(3, '/a', 'POST')).toEqual([200, 200, 429])
    expect(await statuses(3, '/b')).toEqual([200, 200, 429])
  })

  it('both limits of a plugin that is registered twice hold', async () => {
    const { app, statuses } = await serve({ limits: '3/hour' })
    expect(await statuses(4)).toEqual([200, 200, 200, 429])
    expect(app.hasPlugin('ratethrottle')).toBe(true)
    const both = Fastify()
    open.push(both)
    await both.register(rateThrottle, { limits: '5/hour' })
    await both.register(rateThrottle, { limits: '2/hour' })
    both.get('/', () => 'ok')
    const seen: number[] = []
    for (let i = 0; i < 3; i++) seen.push((await both.inject('/')).statusCode)
    expect(seen).toEqual([200, 200, 429])
  })
})

describe('keys', () => {
  it('requests are counted by the key function', async () => {
    const key = (request: { headers: IncomingHttpHeaders }) => String(request.headers['x-user'])
    const { statuses } = await serve({ limits: '1/hour', key })
    expect(await statuses(2, '/', 'GET', { 'x-user': 'ada' })).toEqual([200, 429])
    expect(await statuses(2, '/', 'GET', { 'x-user': 'bob' })).toEqual([200, 429])
  })

  it('after a key function fails the address is the key; without a key the answer is 400', async () => {
    const broken = () => {
      throw new Error('no user')
    }
    const fails = await serve({ limits: '1/hour', key: broken })
    expect(await fails.statuses(3)).toEqual([200, 429, 429])
    const keyless = await serve({ limits: '1/hour', key: () => undefined })
    expect(await keyless.statuses(3)).toEqual([400, 400, 400])
    expect(keyless.runs()).toBe(0)
  })
})

describe('headers and errors', () => {
  it('admitted and denied responses have the three headers', async () => {
    const { ask } = await serve({
      limits: '2/minute',
      clock: new FakeClock(),
      algorithm: 'fixed-window',
    })
    for (const [status, remaining] of [
      [200, '1'],
      [200, '0'],
      [429, '0'],
    ] as const) {
      const before = Math.ceil((Date.now() + 60_000) / 1_000)
      const { headers, ...answer } = await ask()
      expect(answer.status).toBe(status)
      expect(headers).toMatchObject({
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': remaining,
      })
      const reset = Number(headers['x-ratelimit-reset'])
      expect(reset).toBeGreaterThanOrEqual(before)
      expect(reset).toBeLessThanOrEqual(Math.ceil((Date.now() + 60_000) / 1_000))
      expect(headers['retry-after']).toBe(status === 429 ? '60' : undefined)
    }
  })

  it('with headers: false a denial still has Retry-After', async () => {
    const { ask } = await serve({ limits: '1/minute', headers: false, clock: new FakeClock() })
    expect(Object.keys((await ask()).headers).filter((name) => name.startsWith('x-rate'))).toEqual(
      [],
    )
    expect((await ask()).headers['retry-after']).toBe('60')
  })

  it.each(['token-bucket', 'sliding-window', 'sliding-log', 'fixed-window'] as const)(
    'with %s, a request after Retry-After is admitted',
    async (algorithm) => {
      const clock = new FakeClock(1_234_567)
      const { ask } = await serve({ limits: '3/7s', algorithm, clock })
      for (let i = 0; i < 40; i++) {
        const { status, headers } = await ask()
        clock.advance(137)
        if (status === 200) continue
        const seconds = Number(headers['retry-after'])
        expect(Number.isInteger(seconds) && seconds >= 1).toBe(true)
        clock.advance(seconds * 1_000 - 137)
        expect((await ask()).status).toBe(200)
      }
    },
  )

  it('the default answer names neither the caller nor internals', async () => {
    const { ask } = await serve({ limits: '1/minute', clock: new FakeClock() })
    await ask()
    const { body } = await ask()
    expect(JSON.parse(body)).toEqual({
      statusCode: 429,
      code: 'RATE_LIMIT_EXCEEDED',
      error: 'Too Many Requests',
      message: 'Rate limit exceeded, retry in 60 seconds',
    })
  })

  it('an error handler that checks for statusCode 429 works', async () => {
    const { ask } = await serve({ limits: '1/minute', clock: new FakeClock() }, (app) => {
      app.setErrorHandler((error, _request, reply) => {
        expect(error).toBeInstanceOf(RateLimitExceeded)
        const { retryAfter } = error as RateLimitExceeded
        return reply.code(429).send({ error: 'Rate limit exceeded', retry_after: retryAfter })
      })
    })
    await ask()
    const { status, body } = await ask()
    expect([status, JSON.parse(body)]).toEqual([
      429,
      { error: 'Rate limit exceeded', retry_after: 60 },
    ])
  })

  it('a handler that throws runs once, and its error is unchanged', async () => {
    let runs = 0
    const { ask } = await serve({ limits: '5/minute' }, (app) => {
      app.get('/broken', () => {
        runs++
        throw Object.assign(new Error('teapot'), { statusCode: 418 })
      })
    })
    const { status, body, headers } = await ask('/broken')
    expect([status, JSON.parse(body).message, runs]).toEqual([418, 'teapot', 1])
    expect(headers['x-ratelimit-remaining']).toBe('4')
  })
})

describe('start', () => {
  it('invalid limits and unknown options stop the start, globally and on a route', async () => {
    const wrong: object[] = [
      { limits: '7/fortnight' },
      { max: 5 },
      { limits: '1/s', headers: 'all' },
    ]
    for (const options of wrong) {
      const app = Fastify()
      app.register(rateThrottle, options as Options)
      await expect(Promise.resolve(app.ready())).rejects.toThrow(/fortnight|max|headers/)
    }
    for (const rateLimit of ['0/minute', 5, null, { limits: '1/s', windowMs: 5 }]) {
      const app = Fastify()
      open.push(app)
      await app.register(rateThrottle, {})
      const declare = () => app.get('/', { config: { rateLimit } as object }, () => 'ok')
      expect(declare).toThrow(/limit|windowMs/)
    }
  })

  it('closing the server closes its limiters, and servers share no state', async () => {
    const one = await serve({ limits: '1/hour', name: 'server' })
    expect(await one.statuses(2)).toEqual([200, 429])
    await one.app.close()
    const other = await serve({ limits: '2/hour', name: 'server' })
    expect(await other.statuses(3)).toEqual([200, 200, 429])
  })
})
