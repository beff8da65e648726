import { ConcurrencyExceeded, type RateLimitExceeded } from 'ratethrottle'
import { describe, expect, test } from 'vitest'
import { gauge, hung } from './gauge.ts'
import { ADAPTERS, type Framework, type Options, serve } from './serve.ts'

describe.each(ADAPTERS)('%s: concurrent', (framework: Framework) => {
  test('exactly as many requests as there are permits are served at a time, of 200', async () => {
    const inside = gauge()
    const server = await serve(framework, { limits: '1000/day', concurrent: 4 }, inside.handle)
    const refused: number[] = []
    const asked = Array.from({ length: 200 }, async () => {
      const { status } = await server.ask()
      if (status === 429) refused.push(status)
      return status
    })
    await expect.poll(() => refused.length, { interval: 5, timeout: 60_000 }).toBe(196)
    inside.open()
    const statuses = await Promise.all(asked)
    expect(statuses.filter((status) => status === 200)).toHaveLength(4)
    expect(inside).toMatchObject({ most: 4, entered: 4, now: 0 })
    // Those that were refused have charged nothing.
    const { headers } = await server.ask()
    expect(headers['x-ratelimit-remaining']).toBe('995')
  })

  test('a refusal is that of a limit, and says that permits refuse', async () => {
    const denied: unknown[] = []
    const options = {
      limits: '1000/minute',
      concurrent: { perKey: 1, total: 3 },
      headers: 'both',
      onDeny: ({ decision }: { decision: unknown }) => denied.push(decision),
    }
    const { server, release } = await hung(framework, options)
    const asked = Date.now() / 1_000
    const { status, headers, body } = await server.ask()
    const answered = Date.now() / 1_000
    expect(status).toBe(429)
    expect(JSON.parse(body)).toEqual({
      statusCode: 429,
      code: 'RATE_LIMIT_EXCEEDED',
      error: 'Too Many Requests',
      message: 'Too many requests at a time, retry in 1 second',
    })
    const reset = Number(headers['x-ratelimit-reset'])
    expect(headers).toMatchObject({
      'retry-after': '1',
      'x-ratelimit-limit': '1',
      'x-ratelimit-remaining': '0',
      'ratelimit-policy':
        '"1000-in-1min";q=1000;w=60, "concurrent";q=1;qu="concurrent-requests", "concurrent-total";q=3;qu="concurrent-requests"',
      ratelimit: '"concurrent";r=0;t=1',
    })
    expect(reset).toBeGreaterThan(asked - 1)
    expect(reset).toBeLessThan(answered + 3)
    expect(denied).toMatchObject([{ allowed: false, limit: 1, retryAfterMs: 1_000 }])
    await release()
    // The told wait is enough.
    await expect.poll(async () => (await server.ask()).status).toBe(200)
    const answer = await server.ask()
    const { ratelimit } = answer.headers
    expect(ratelimit).toMatch(/^"1000-in-1min";r=99\d;t=1$/)
    expect(answer.headers['x-ratelimit-limit']).toBe('1000')
  })

  test('without limits a refusal alone has figures', async () => {
    const { server, release } = await hung(framework, { concurrent: { total: 1 }, headers: 'both' })
    const { status, headers } = await server.ask()
    expect(status).toBe(429)
    expect(headers['x-ratelimit-limit']).toBe('1')
    await release()
    const admitted = await server.ask()
    expect(admitted.status).toBe(200)
    expect(admitted.headers['ratelimit-policy']).toBe('"concurrent";q=1;qu="concurrent-requests"')
    expect(
      Object.keys(admitted.headers).filter((name) => /^x-ratelimit|^ratelimit$/.test(name)),
    ).toEqual([])
  })

  test('its error is a ConcurrencyExceeded, for handlers', async () => {
    const errors: unknown[] = []
    const options: Options = {
      limits: '1000/minute',
      concurrent: 1,
      status: 503,
      message: 'come back',
      handler: (_request: unknown, _response: unknown, error: RateLimitExceeded) => {
        errors.push(error)
        throw error
      },
    }
    const { server, release } = await hung(framework, options)
    const { status, body } = await server.ask()
    expect(status).toBe(503)
    expect(JSON.parse(body)).toMatchObject({ statusCode: 503, message: 'come back' })
    const [error] = errors
    expect(error).toBeInstanceOf(ConcurrencyExceeded)
    expect(error).toMatchObject({ reason: 'perKey', statusCode: 503, retryAfter: 1 })
    await release()
  })

  test('a request that its limits refuse holds no permit', async () => {
    const { server, release } = await hung(framework, { limits: '1/minute', concurrent: 2 })
    expect(await server.statuses(5)).toEqual([429, 429, 429, 429, 429])
    const { headers } = await server.ask()
    expect(headers['x-ratelimit-limit']).toBe('1')
    await release()
  })

  test('a dry run lets pass what it reports, at once', async () => {
    const reports: boolean[] = []
    const options = {
      concurrent: { perKey: 1, queue: 1 },
      dryRun: true,
      onDeny: ({ dryRun }: { dryRun: boolean }) => reports.push(dryRun),
    }
    const { server, release, inside } = await hung(framework, options)
    inside.open()
    expect((await server.ask()).status).toBe(200)
    expect(reports).toEqual([true])
    await release()
  })

  test('exempt requests take no permit', async () => {
    const options = { concurrent: 1, methods: ['GET'] }
    const { server, release, inside } = await hung(framework, options)
    inside.open()
    expect((await server.ask('/', { method: 'POST' })).status).toBe(200)
    expect((await server.ask()).status).toBe(429)
    await release()
  })
})
