import { FakeClock } from 'ratethrottle'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type Ask, figures, times } from '../http/client.ts'
import { type Served, serveApp } from '../http/serve.ts'

const AT_ONCE = 50

async function fastify(clock: FakeClock): Promise<Served> {
  const { buildService } = await import('../../examples/fastify.ts')
  return serveApp(await buildService({ clock }))
}

async function express(clock: FakeClock, isFour = false): Promise<Served> {
  const { buildService } = await import('../../examples/express.ts')
  const app = buildService({ clock })
  // Where Express 4 keeps its routes, and 5 does not.
  expect('_router' in app).toBe(isFour)
  return serveApp(app)
}

/** The same example, where `express` is Express 4. */
async function express4(clock: FakeClock): Promise<Served> {
  vi.resetModules()
  const name = 'express-4'
  vi.doMock('express', () => import(name))
  return express(clock, true)
}

afterEach(() => {
  vi.doUnmock('express')
  vi.resetModules()
})

/** How often each status came. */
async function tally({ ask }: Served, count: number, path: string, how: Ask): Promise<object> {
  const seen: Record<number, number> = {}
  for (let left = count; left > 0; left -= AT_ONCE) {
    const batch = Array.from({ length: Math.min(left, AT_ONCE) }, () => ask(path, how))
    for (const { status } of await Promise.all(batch)) seen[status] = (seen[status] ?? 0) + 1
  }
  return seen
}

const ADA = { headers: { 'x-user': 'ada' } }
const BOB = { headers: { 'x-user': 'bob' } }

describe.each([
  ['Fastify 5', fastify],
  ['Express 5', express],
  ['Express 4', express4],
] as const)('%s: the complete example', (_, start) => {
  it('the public route serves each caller 100 a minute', async () => {
    const clock = new FakeClock()
    const served = await start(clock)
    const first = await served.ask('/api/public')
    expect([first.status, JSON.parse(first.body)]).toEqual([200, { data: 'public' }])
    expect(figures(first)).toEqual(['100', '99'])
    expect(await tally(served, 149, '/api/public', {})).toEqual({ 200: 99, 429: 50 })
    expect(await tally(served, 150, '/api/public', ADA)).toEqual({ 200: 100, 429: 50 })
    clock.advance(60_000)
    expect(await tally(served, 150, '/api/public', {})).toEqual({ 200: 100, 429: 50 })
  })

  it('the protected route serves each caller 1000 a minute', async () => {
    const served = await start(new FakeClock())
    const first = await served.ask('/api/protected', ADA)
    expect([first.status, JSON.parse(first.body)]).toEqual([200, { data: 'protected' }])
    expect(figures(first)).toEqual(['1000', '999'])
    expect(await tally(served, 1049, '/api/protected', ADA)).toEqual({ 200: 999, 429: 50 })
    expect(await tally(served, 50, '/api/protected', BOB)).toEqual({ 200: 50 })
  })

  it('the report route serves 10 a minute and 50 an hour, and refusals are not charged', async () => {
    const clock = new FakeClock()
    const served = await start(clock)
    const post = { ...ADA, method: 'POST' }
    const first = await served.ask('/api/report', post)
    expect([first.status, JSON.parse(first.body)]).toEqual([200, { status: 'processing' }])
    expect(figures(first)).toEqual(['10', '9'])
    expect(await served.statuses(14, '/api/report', post)).toEqual(times(9, 200, 5, 429))
    for (let minute = 1; minute < 5; minute++) {
      clock.advance(60_000)
      expect(await served.statuses(15, '/api/report', post)).toEqual(times(10, 200, 5, 429))
    }
    clock.advance(60_000)
    const denied = await served.ask('/api/report', post)
    // The first ten of the hour come back an hour after they were charged: that is 55 minutes from here.
    expect([denied.status, figures(denied), JSON.parse(denied.body)]).toEqual([
      429,
      ['50', '0'],
      { error: 'Rate limit exceeded', retry_after: 55 * 60 },
    ])
    clock.advance(55 * 60_000)
    expect(await served.statuses(11, '/api/report', post)).toEqual(times(10, 200, 1, 429))
    expect(await served.statuses(1, '/api/report', ADA)).toEqual([404])
  })

  it('users are counted by name, guests by address', async () => {
    const served = await start(new FakeClock())
    const report = (how: Ask) => served.statuses(11, '/api/report', { ...how, method: 'POST' })
    const ten = times(10, 200, 1, 429)
    for (const how of [ADA, BOB, {}, { from: '127.0.0.2' }]) expect(await report(how)).toEqual(ten)
    expect(await report({ ...ADA, from: '127.0.0.3' })).toEqual(times(11, 429))
  })

  it('its custom 429 handler answers', async () => {
    const served = await start(new FakeClock())
    await tally(served, 10, '/api/report', { method: 'POST' })
    const { status, headers, body } = await served.ask('/api/report', { method: 'POST' })
    expect([status, JSON.parse(body)]).toEqual([
      429,
      { error: 'Rate limit exceeded', retry_after: 60 },
    ])
    expect(headers['retry-after']).toBe('60')
  })
})
