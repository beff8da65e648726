import type { IncomingHttpHeaders } from 'node:http'
import { FakeClock } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { figures, times } from '../http/client.ts'
import { FRAMEWORKS, SERVERS, type Served, serveSite } from '../http/serve.ts'

describe.each(SERVERS)('%s: quick start', (framework) => {
  it('100/minute on one route: a hundred are served, the next is not', async () => {
    const { ask, statuses, runs } = await serveSite(framework, {
      options: { clock: new FakeClock() },
      routes: [
        { path: '/api/data', limits: '100/minute', run: () => ({ body: { data: 'value' } }) },
      ],
    })
    const { status, headers, body } = await ask('/api/data')
    expect([status, JSON.parse(body)]).toEqual([200, { data: 'value' }])
    expect(headers['content-type']).toMatch(/^application\/json/)
    expect(await statuses(103, '/api/data')).toEqual(times(99, 200, 4, 429))
    expect(runs('/api/data')).toBe(100)
  })
})

describe.each(SERVERS)('%s: limits per route', (framework) => {
  it('each route has a separate budget', async () => {
    const { statuses, runs } = await serveSite(framework, {
      options: { clock: new FakeClock() },
      routes: [
        {
          path: '/api/public',
          limits: '100/minute',
          run: () => ({ body: { message: 'Public data' } }),
        },
        { path: '/api/search', limits: '50/minute', run: () => ({ body: { results: [] } }) },
        { path: '/api/expensive', limits: '10/minute', run: () => ({ body: { result: 'done' } }) },
      ],
    })
    expect(await statuses(11, '/api/expensive')).toEqual(times(10, 200, 1, 429))
    expect(await statuses(51, '/api/search')).toEqual(times(50, 200, 1, 429))
    expect(await statuses(101, '/api/public')).toEqual(times(100, 200, 1, 429))
    expect(['/api/expensive', '/api/search', '/api/public'].map(runs)).toEqual([10, 50, 100])
  })

  it('routes with the same limit share no budget, and routes without a limit are not limited', async () => {
    const { statuses, ask } = await serveSite(framework, {
      options: { clock: new FakeClock() },
      routes: [
        { path: '/one', limits: '2/minute' },
        { path: '/other', limits: '2/minute' },
        { path: '/free' },
      ],
    })
    expect(await statuses(3, '/one')).toEqual(times(2, 200, 1, 429))
    expect(await statuses(3, '/other')).toEqual(times(2, 200, 1, 429))
    expect(await statuses(9, '/free')).toEqual(times(9, 200))
    expect(figures(await ask('/free'))).toEqual([undefined, undefined])
  })
})

/** Two limits on one route: in one list, or as two middlewares or hooks in a row, either way round. */
const PAIRS = [
  ['in a list', (one: string, other: string) => ({ limits: [one, other] })],
  ['in a row', (one: string, other: string) => ({ stacked: [one, other] })],
  ['in a row, the tighter first', (one: string, other: string) => ({ stacked: [other, one] })],
  [
    'the second beside the first',
    (one: string, other: string) => ({ limits: one, stacked: [other] }),
  ],
] as const
const CASES = SERVERS.flatMap((framework) =>
  PAIRS.map(([how, pair]) => [framework, how, pair] as const),
)

describe.each(CASES)('%s: two limits on one route, %s', (framework, _, pair) => {
  const site = (one: string, other: string, clock: FakeClock, headers?: 'draft'): Promise<Served> =>
    serveSite(framework, {
      options: { clock, algorithm: 'sliding-log', headers: headers ?? 'legacy' },
      routes: [{ path: '/', ...pair(one, other) }],
    })

  it('both limits hold, and the headers are those of the tighter one', async () => {
    const clock = new FakeClock()
    const { ask, runs } = await site('7/hour', '3/minute', clock)
    const seen: unknown[] = []
    for (let minute = 0; minute < 3; minute++) {
      for (let i = 0; i < 4; i++) {
        const answer = await ask()
        seen.push([answer.status, ...figures(answer)])
      }
      clock.advance(60_000)
    }
    expect(seen).toEqual([
      ...[2, 1, 0].map((left) => [200, '3', `${left}`]),
      [429, '3', '0'],
      ...[2, 1, 0].map((left) => [200, '3', `${left}`]),
      [429, '3', '0'],
      [200, '7', '0'],
      ...Array(3).fill([429, '7', '0']),
    ])
    expect(runs()).toBe(7)
  })

  it('a refused request is charged to neither limit', async () => {
    const clock = new FakeClock()
    const { ask, statuses } = await site('5/day', '2/minute', clock, 'draft')
    expect(await statuses(12)).toEqual(times(2, 200, 10, 429))
    clock.advance(60_000)
    expect(await statuses(12)).toEqual(times(2, 200, 10, 429))
    clock.advance(60_000)
    // The five of the day are used now, and the minute has one left: ten refusals leave it there. Where the
    // day's limit stands first, the minute's is not called.
    expect(await statuses(11)).toEqual(times(1, 200, 10, 429))
    const left = remaining((await ask()).headers)
    expect({ '2-in-1min': 1, ...left }).toEqual({ '5-in-1d': 0, '2-in-1min': 1 })
  })
})

/** What is left of each limit, from a `RateLimit` header. */
function remaining({ ratelimit }: IncomingHttpHeaders): Record<string, number> {
  const items = String(ratelimit).matchAll(/"([^"]+)";r=(\d+)/g)
  return Object.fromEntries([...items].map(([, name, left]) => [name, Number(left)]))
}

describe.each(FRAMEWORKS)('%s: a limit for everything', (framework) => {
  it('covers all routes and unknown paths in one budget', async () => {
    const { statuses } = await serveSite(framework, {
      options: { clock: new FakeClock(), limits: '4/minute' },
      routes: [{ path: '/one' }, { path: '/other' }],
    })
    expect(await statuses(2, '/one')).toEqual([200, 200])
    expect(await statuses(1, '/unknown')).toEqual([404])
    expect(await statuses(2, '/other')).toEqual([200, 429])
    expect(await statuses(1, '/unknown')).toEqual([429])
  })
})
