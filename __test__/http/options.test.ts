import { channel } from 'node:diagnostics_channel'
import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock } from 'ratethrottle'
import { allOf, byHeader, byIp, byUser, firstOf } from 'ratethrottle/http'
import { describe, expect, it } from 'vitest'
import { ADAPTERS, type Options, serve } from './serve.ts'

const plan = (headers: Record<string, string>) => ({ headers })
/** Each adapter has its own request; those of Hono and of the web have their headers elsewhere. */
const header = (request: Options, name: string) =>
  request.req?.header?.(name) ?? request.headers?.get?.(name) ?? request.headers?.[name]

describe.each(ADAPTERS)('%s', (adapter) => {
  it('a limits function gives each request its limits; false means no limit', async () => {
    const limits = (request: unknown) => {
      const name = header(request, 'plan')
      if (name === 'free') return '1/hour'
      return name === 'pro' ? { count: 2, windowMs: 3_600_000 } : false
    }
    // What a caller has used stays used when its plan changes: these are two callers.
    const key = (request: unknown) => header(request, 'plan') ?? 'none'
    const { statuses } = await serve(adapter, { limits, key })
    expect(await statuses(2, '/', plan({ plan: 'free' }))).toEqual([200, 429])
    expect(await statuses(3, '/', plan({ plan: 'pro' }))).toEqual([200, 200, 429])
    expect(await statuses(3)).toEqual([200, 200, 200])
  })

  it('a limits function that fails or returns invalid limits is a 500 without details', async () => {
    const errors: unknown[] = []
    const onError = ({ error }: { error: unknown }) => errors.push(error)
    const limits = (request: unknown) => {
      if (header(request, 'plan') === 'none') return undefined
      throw new Error('secret: the database is down')
    }
    const { ask, runs } = await serve(adapter, { limits, onError })
    for (const headers of [{}, { plan: 'none' }] as Record<string, string>[]) {
      const { status, body } = await ask('/', { headers })
      expect(status).toBe(500)
      expect(body).not.toContain('secret')
    }
    expect([runs(), errors.length]).toEqual([0, 2])
  })

  it('cost may be a number, a function or an asynchronous function', async () => {
    const cost = async (request: unknown) => Number(header(request, 'units') ?? 1)
    const { statuses } = await serve(adapter, { limits: '5/hour', cost })
    expect(await statuses(2, '/', plan({ units: '2' }))).toEqual([200, 200])
    expect(await statuses(1, '/', plan({ units: '2' }))).toEqual([429])
    expect(await statuses(2)).toEqual([200, 429])
    const fixed = await serve(adapter, { limits: '5/hour', cost: 5 })
    expect(await fixed.statuses(2)).toEqual([200, 429])
  })

  it('methods limits only these methods, and HEAD counts as GET', async () => {
    const { statuses } = await serve(adapter, { limits: '1/hour', methods: ['post'] })
    expect(await statuses(3)).toEqual([200, 200, 200])
    expect(await statuses(2, '/', { method: 'POST' })).toEqual([200, 429])
    const get = await serve(adapter, { limits: '1/hour', methods: ['GET'] })
    expect(await get.statuses(2, '/', { method: 'HEAD' })).toEqual([200, 429])
    expect(await get.statuses(2, '/', { method: 'POST' })).toEqual([200, 200])
  })

  it('requests of the allow list and of skip are exempt, those of the deny list refused', async () => {
    const allow = ['127.0.0.2/31']
    const options = { limits: '1/hour', allow, deny: '127.0.0.9', skip: isHealth }
    const { ask, statuses, runs } = await serve(adapter, options)
    expect(await statuses(2)).toEqual([200, 429])
    expect(await statuses(3, '/', { from: '127.0.0.3' })).toEqual([200, 200, 200])
    const before = runs()
    const denied = await ask('/', { from: '127.0.0.9' })
    expect([denied.status, runs()]).toEqual([403, before])
    expect(await statuses(2, '/', plan({ health: 'yes' }))).toEqual([200, 200])
  })

  it('firstOf takes the first key, allOf joins keys, and a request without a key is handled by option', async () => {
    const key = firstOf(byHeader('x-api-key'), byIp())
    const { statuses } = await serve(adapter, { limits: '1/hour', key })
    expect(await statuses(2, '/', plan({ 'x-api-key': 'a' }))).toEqual([200, 429])
    expect(await statuses(2, '/', plan({ 'x-api-key': '127.0.0.1' }))).toEqual([200, 429])
    expect(await statuses(2)).toEqual([200, 429])
    const both = allOf(byHeader('a'), byHeader('b'))
    const pair = await serve(adapter, { limits: '1/hour', key: both })
    expect(await pair.statuses(1, '/', plan({ a: 'x:', b: 'y' }))).toEqual([200])
    expect(await pair.statuses(1, '/', plan({ a: 'x', b: ':y' }))).toEqual([200])
    expect(await pair.statuses(1, '/', plan({ a: 'x' }))).toEqual([400])
    const shared = await serve(adapter, { limits: '1/hour', key: both, missingKey: 'shared' })
    expect(await shared.statuses(2)).toEqual([200, 429])
    const address = await serve(adapter, { limits: '1/hour', key: both, missingKey: 'ip' })
    expect(await address.statuses(2)).toEqual([200, 429])
    expect(await address.statuses(1, '/', { from: '127.0.0.2' })).toEqual([200])
  })

  it('a user key may be normalized or a promise; a promise that never settles leaves the address', async () => {
    const id = (request: unknown) => {
      const user = header(request, 'user')
      return user === 'never' ? new Promise<string>(() => {}) : Promise.resolve(user)
    }
    const key = firstOf(byUser(id, { normalize: 'trim-lower' }), byIp())
    const options = { limits: '1/hour', key, keyTimeoutMs: 30, onError: () => {} }
    const { statuses } = await serve(adapter, options)
    expect(await statuses(1, '/', plan({ user: 'Ada' }))).toEqual([200])
    expect(await statuses(1, '/', plan({ user: 'ADA' }))).toEqual([429])
    expect(await statuses(2, '/', plan({ user: 'never' }))).toEqual([200, 429])
  })

  it('blockFor steps block longer each time, are named in Retry-After, and reset after a day', async () => {
    const clock = new FakeClock()
    const blockFor = ['1 minute', '10 minutes']
    const { ask, statuses } = await serve(adapter, { limits: '1/second', blockFor, clock })
    for (const seconds of [60, 600, 600]) {
      expect(await statuses(1)).toEqual([200])
      expect((await ask()).headers['retry-after']).toBe(String(seconds))
      clock.advance(seconds * 1000 - 1)
      expect((await ask()).headers['retry-after']).toBe('1')
      clock.advance(1)
    }
    clock.advance(86_400_000)
    expect(await statuses(1)).toEqual([200])
    expect((await ask()).headers['retry-after']).toBe('60')
  })

  it('slowDown delays requests that would be refused, up to a maximum', async () => {
    const clock = new FakeClock()
    const options = { limits: '2/20 seconds', slowDown: '19 seconds', dryRun: false, clock }
    const { ask, statuses } = await serve(adapter, options)
    expect(await statuses(2)).toEqual([200, 200])
    const stop = new AbortController()
    const told: number[] = []
    const asking = Array.from({ length: 8 }, async () => {
      const answer = await ask('/', { signal: stop.signal }).catch(() => undefined)
      if (answer !== undefined) told.push(answer.status)
    })
    // One waits for its turn in ten seconds: the turn of the others would come too late.
    await expect.poll(() => told).toEqual([429, 429, 429, 429, 429, 429, 429])
    stop.abort()
    await Promise.all(asking)
  })

  it('dryRun decides and reports, refuses no request and sends no headers', async () => {
    const denied: unknown[] = []
    const options = {
      limits: '1/hour',
      dryRun: true,
      onDeny: (event: unknown) => denied.push(event),
    }
    const { ask, statuses } = await serve(adapter, options)
    expect(await statuses(3)).toEqual([200, 200, 200])
    expect(denied).toMatchObject([{ dryRun: true, decision: { allowed: false } }, {}])
    expect((await ask()).headers).not.toHaveProperty('x-ratelimit-limit')
  })

  it('status, message, problem and handler determine the refusal', async () => {
    const shape = async (options: object) => {
      const clock = new FakeClock()
      const { ask } = await serve(adapter, { limits: '1/hour', clock, ...options })
      await ask()
      return ask()
    }
    const plain = await shape({ status: 503, message: 'Slow down' })
    expect([plain.status, JSON.parse(plain.body).message]).toEqual([503, 'Slow down'])
    const problem = await shape({ problem: true, policy: 'hourly' })
    expect(problem.headers['content-type']).toContain('application/problem+json')
    expect(JSON.parse(problem.body)).toEqual({
      type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
      title: 'Too Many Requests',
      status: 429,
      detail: 'Rate limit exceeded, retry in 3600 seconds',
      'violated-policies': ['hourly'],
    })
    const forgetful = await shape({ handler: FORGETFUL[adapter] })
    expect([forgetful.status, forgetful.body]).toEqual([429, 'wait'])
    const handled = await shape({ handler: HANDLERS[adapter] })
    expect([handled.status, handled.body]).toEqual([418, 'wait 3600'])
    expect(handled.headers['retry-after']).toBe('3600')
  })

  it('hooks and channels receive each decision; a hook that throws changes no response', async () => {
    const seen: string[] = []
    const listen = () => seen.push('channel')
    const deny = channel('ratethrottle:deny')
    deny.subscribe(listen)
    const options = {
      limits: '1/hour',
      onAdmit: ({ key, decision }: Options) => seen.push(`admit ${key} ${decision.remaining}`),
      onDeny: () => {
        seen.push('deny')
        throw new Error('hook')
      },
    }
    const { statuses } = await serve(adapter, options)
    expect(await statuses(2)).toEqual([200, 429])
    deny.unsubscribe(listen)
    expect(seen).toEqual(['admit 127.0.0.1 0', 'deny', 'channel'])
  })
})

const isHealth = async (request: unknown) => {
  await sleep(1)
  return header(request, 'health') === 'yes'
}

const HANDLERS: Record<(typeof ADAPTERS)[number], (...args: Options[]) => unknown> = {
  'Fastify 5': (_, reply, error) => reply.code(418).send(`wait ${error.retryAfter}`),
  'Express 5': (_, res, error) => res.status(418).send(`wait ${error.retryAfter}`),
  'Express 4': (_, res, error) => res.status(418).send(`wait ${error.retryAfter}`),
  'node:http': (_, res, error) => {
    res.statusCode = 418
    res.end(`wait ${error.retryAfter}`)
  },
  Hono: (c, _, error) => c.text(`wait ${error.retryAfter}`, 418),
  web: (_, __, error) => new Response(`wait ${error.retryAfter}`, { status: 418 }),
  'Koa 3': (ctx, _, error) => Object.assign(ctx, { status: 418, body: `wait ${error.retryAfter}` }),
}

/** They say nothing of a status. */
const FORGETFUL: typeof HANDLERS = {
  'Fastify 5': () => 'wait',
  'Express 5': (_, res) => res.send('wait'),
  'Express 4': (_, res) => res.send('wait'),
  'node:http': (_, res) => res.end('wait'),
  Hono: (c) => c.text('wait'),
  web: () => new Response('wait'),
  'Koa 3': (ctx) => Object.assign(ctx, { body: 'wait' }),
}
