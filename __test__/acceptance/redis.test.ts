import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { FakeClock } from 'ratethrottle'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { times } from '../http/client.ts'
import { type LimitedSite, type Options, type Route, SERVERS, serveSite } from '../http/serve.ts'
import { type Server, startServer } from '../redis/server.ts'

/** On a busy machine Redis may be late, and the service would then decide locally. */
const PATIENT = { deadlineMs: 30_000, connectTimeoutMs: 60_000 }

let redis: Server
let admin: Server['admin']
beforeAll(async () => {
  redis = await startServer()
  admin = redis.admin
})
afterAll(() => redis.stop())
beforeEach(() => admin.flushall())

describe.each(['fastify', 'express'])(
  'examples/%s.ts in several processes with one Redis',
  (name) => {
    it('all processes together serve 100 and 10 a minute', async () => {
      const [one, other] = await Promise.all([startWorker(name), startWorker(name)])
      const users = { headers: { 'x-user': 'ada' } }
      const statuses = await Promise.all(
        Array.from({ length: 160 }, (_, i) =>
          fetch(`${i % 2 === 0 ? one : other}/api/public`, users),
        ),
      )
      expect(statuses.filter(({ status }) => status === 200)).toHaveLength(100)
      expect(statuses.filter(({ status }) => status === 429)).toHaveLength(60)
      const left: (string | null)[] = []
      for (let i = 0; i < 12; i++) {
        const service = i % 2 === 0 ? one : other
        const { headers } = await fetch(`${service}/api/report`, { method: 'POST', ...users })
        left.push(headers.get('x-ratelimit-remaining'))
      }
      expect(left).toEqual(['9', '8', '7', '6', '5', '4', '3', '2', '1', '0', '0', '0'])
    })
  },
)

/** A process that serves an example, until the test ends. */
async function startWorker(example: string): Promise<string> {
  const env = { ...process.env, RATELIMIT_STORAGE_URL: redis.url }
  const worker = fork(join(ROOT, '__test__/acceptance/worker.mjs'), [example], {
    env,
    execArgv: [],
  })
  onTestFinished(() => {
    worker.kill()
  })
  const [port] = (await once(worker, 'message')) as [number]
  return `http://127.0.0.1:${port}`
}

describe.each(SERVERS)('%s: with Redis storage', (framework) => {
  const site = (routes: readonly Route[], more: Options = {}): LimitedSite => ({
    options: {
      RATELIMIT_STORAGE_URL: redis.url,
      clock: new FakeClock(1_000_000),
      ...PATIENT,
      ...more,
    },
    routes,
  })

  it('routes with the same limit share no budget', async () => {
    const routes = [
      { path: '/one', limits: '2/minute' },
      { path: '/other', limits: '2/minute' },
    ]
    const { statuses } = await serveSite(framework, site(routes))
    expect(await statuses(3, '/one')).toEqual(times(2, 200, 1, 429))
    expect(await statuses(3, '/other')).toEqual(times(2, 200, 1, 429))
  })

  it('all keys begin with the key prefix', async () => {
    const routes = [{ path: '/', limits: '2/minute' }]
    const { statuses } = await serveSite(framework, site(routes, { RATELIMIT_KEY_PREFIX: 'seed:' }))
    await statuses(1)
    const keys = await admin.keys('*')
    expect(keys.length).toBeGreaterThan(0)
    expect(keys.filter((key) => !key.startsWith('seed:'))).toEqual([])
  })

  it.each([
    ['in a list', { limits: ['5/day', '2/minute'] }],
    ['in a row', { stacked: ['5/day', '2/minute'] }],
    ['in a row, the tighter first', { stacked: ['2/minute', '5/day'] }],
  ])('two limits %s: a refused request is charged to neither', async (_, limits) => {
    const clock = new FakeClock(1_000_000)
    const { statuses, runs } = await serveSite(
      framework,
      site([{ path: '/', ...limits }], { clock, algorithm: 'sliding-log' }),
    )
    for (const admitted of [2, 2, 1]) {
      expect(await statuses(8)).toEqual(times(admitted, 200, 8 - admitted, 429))
      clock.advance(60_000)
    }
    expect(runs()).toBe(5)
  })

  it('of parallel requests exactly N of limit N are served', async () => {
    const { ask, runs } = await serveSite(framework, site([{ path: '/', limits: '50/hour' }]))
    const answers = await Promise.all(Array.from({ length: 150 }, () => ask()))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(50)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(100)
    expect(runs()).toBe(50)
  })
})
