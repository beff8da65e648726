import { FakeClock, RateLimitExceeded } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { figures } from '../http/client.ts'
import { FRAMEWORKS, SERVERS, serveSite } from '../http/serve.ts'

describe.each(FRAMEWORKS)('%s: custom error handler', (framework) => {
  it('gets the message and a correct retry_after', async () => {
    const clock = new FakeClock()
    const { ask, runs } = await serveSite(framework, {
      options: { clock },
      routes: [{ path: '/', limits: '2/minute' }],
      onError: (error) => ({
        status: 429,
        body: {
          error: 'Rate limit exceeded',
          message: (error as Error).message,
          retry_after: error instanceof RateLimitExceeded ? error.retryAfter : null,
        },
      }),
    })
    await ask()
    await ask()
    const { status, headers, body } = await ask()
    expect([status, JSON.parse(body)]).toEqual([
      429,
      {
        error: 'Rate limit exceeded',
        message: 'Rate limit exceeded, retry in 30 seconds',
        retry_after: 30,
      },
    ])
    expect(headers['retry-after']).toBe('30')
    clock.advance(29_999)
    expect((await ask()).status).toBe(429)
    clock.advance(1)
    expect((await ask()).status).toBe(200)
    expect(runs()).toBe(3)
  })

  it('gets a RateLimitExceeded without the key of the caller', async () => {
    const errors: unknown[] = []
    const { statuses } = await serveSite(framework, {
      options: { clock: new FakeClock() },
      routes: [{ path: '/', limits: '1/minute' }],
      onError: (error) => {
        errors.push(error)
        return { status: 418, body: {} }
      },
    })
    expect(await statuses(2)).toEqual([200, 418])
    expect(errors).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(RateLimitExceeded)
    expect(errors[0]).toMatchObject({
      statusCode: 429,
      code: 'RATE_LIMIT_EXCEEDED',
      retryAfter: 60,
    })
    expect(JSON.stringify(errors[0])).not.toContain('127.0.0.1')
  })
})

/** Express 4 has no async handlers. */
const THROWS = [
  ['Fastify 5', 'at once'],
  ['Fastify 5', 'later'],
  ['Express 5', 'at once'],
  ['Express 5', 'later'],
  ['Express 4', 'at once'],
] as const

describe.each(THROWS)('%s: a handler that throws %s', (framework, when) => {
  it.each([
    ['under its limits', 5],
    ['with the last of its limit', 1],
  ])('runs once, and its error is unchanged, %s', async (_, count) => {
    const own = Object.assign(new Error('teapot'), { statusCode: 418, status: 418 })
    const arrived: unknown[] = []
    const { ask, runs } = await serveSite(framework, {
      options: { clock: new FakeClock() },
      routes: [
        {
          path: '/',
          limits: `${count}/minute`,
          stacked: [`${count}/hour`],
          run: () => {
            if (when === 'at once') throw own
            return Promise.resolve().then(() => Promise.reject(own))
          },
        },
      ],
      onError: (error) => {
        arrived.push(error)
        return { status: 418, body: { error: (error as Error).message } }
      },
    })
    const answer = await ask()
    expect([answer.status, answer.body, runs()]).toEqual([418, '{"error":"teapot"}', 1])
    expect(arrived).toHaveLength(1)
    expect(arrived[0]).toBe(own)
    // It was charged once, as every request is.
    expect(figures(answer)).toEqual([`${count}`, `${count - 1}`])
  })
})

describe.each(SERVERS)('%s: headers', (framework) => {
  it.each([
    ['fixed-window', 60_000],
    ['sliding-log', 60_000],
    // Each of the five comes back after 600 ms.
    ['token-bucket', 3_000],
  ] as const)('of the fifth request are right, with a %s', async (algorithm, resetMs) => {
    const { ask, statuses } = await serveSite(framework, {
      options: { clock: new FakeClock(), algorithm },
      routes: [{ path: '/', limits: '100/minute' }],
    })
    await statuses(4)
    const earliest = Math.ceil((Date.now() + resetMs) / 1000)
    const answer = await ask()
    const latest = Math.ceil((Date.now() + resetMs) / 1000)
    expect(answer.status).toBe(200)
    expect(figures(answer)).toEqual(['100', '95'])
    const reset = String(answer.headers['x-ratelimit-reset'])
    expect(reset).toMatch(/^\d{10}$/)
    expect(Number(reset)).toBeGreaterThanOrEqual(earliest)
    expect(Number(reset)).toBeLessThanOrEqual(latest)
    expect(answer.headers).not.toHaveProperty('retry-after')
  })

  it('are set once on a response that several limits decided', async () => {
    const { ask } = await serveSite(framework, {
      options: { clock: new FakeClock(), limits: '9/minute' },
      routes: [{ path: '/', stacked: ['5/minute', '7/minute'] }],
    })
    // Two values of one header would come as one text with a comma.
    expect(figures(await ask())).toEqual(['5', '4'])
  })

  it('of a refusal include Retry-After; its default body is JSON without details', async () => {
    const { statuses, ask } = await serveSite(framework, {
      options: { clock: new FakeClock() },
      routes: [{ path: '/', limits: '1/minute' }],
    })
    await statuses(1)
    const { status, headers, body } = await ask()
    expect(status).toBe(429)
    expect(headers['content-type']).toMatch(/^application\/json/)
    expect(headers['retry-after']).toBe('60')
    expect(JSON.parse(body)).toEqual({
      statusCode: 429,
      code: 'RATE_LIMIT_EXCEEDED',
      error: 'Too Many Requests',
      message: 'Rate limit exceeded, retry in 60 seconds',
    })
  })
})
