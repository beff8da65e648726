import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ADAPTERS, type Asked, serve } from '../../http/serve.ts'
import { fakeInsight, type Row } from './fake.ts'

/** Statuses of responses, counted by what they mean here. */
function log(statuses: readonly number[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

function outcomesOf({ routes }: Row): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const counts of Object.values(routes)) {
    for (const [outcome, count] of Object.entries(counts)) {
      sums[outcome] = (sums[outcome] ?? 0) + count
    }
  }
  return sums
}

test.each(ADAPTERS)('%s: every outcome agrees with the responses', async (framework) => {
  const { insight, rows } = fakeInsight()
  const { ask } = await serve(framework, {
    limits: '3/hour',
    name: 'all',
    insight,
    // Headers of the web, those of node:http, or the function of Hono's context.
    key: ({ headers, req }: Asked & { req?: { header?(name: string): string | undefined } }) => {
      const own = headers instanceof Headers ? headers.get('x-user') : headers?.['x-user']
      const user = own ?? req?.header?.('x-user')
      if (user === 'broken') throw new Error('no user')
      return user as string
    },
    onKeyError: 'deny',
    missingKey: 'deny',
    onError: () => {},
    deny: '127.0.0.9',
    allow: '127.0.0.8',
  })
  const statuses: Record<string, number[]> = {}
  const send = async (what: string, count: number, user: string, from = '127.0.0.1') => {
    statuses[what] ??= []
    for (let i = 0; i < count; i++) {
      const headers = user === '' ? {} : { 'x-user': user }
      statuses[what].push((await ask('/', { from, headers })).status)
    }
  }
  await send('users', 5, 'ann')
  await send('users', 2, 'bob')
  await send('denied addresses', 2, 'ann', '127.0.0.9')
  await send('exempt', 4, 'ann', '127.0.0.8')
  await send('keyless', 3, '')
  await send('failed', 2, 'broken')
  const { users = [], keyless = [], failed = [], exempt = [] } = statuses
  const counted = log(users)
  expect(counted).toEqual({ 200: 5, 429: 2 })
  expect(log(statuses['denied addresses'] ?? [])).toEqual({ 403: 2 })
  expect([log(keyless), log(failed), log(exempt)]).toEqual([{ 400: 3 }, { 500: 2 }, { 200: 4 }])
  expect(rows).toHaveLength(1)
  expect(outcomesOf(rows[0] as Row)).toEqual({
    admitted: counted[200],
    denied: counted[429],
    refused: 2 + keyless.length,
    exempt: exempt.length,
    failed: failed.length,
  })
})

test.each(ADAPTERS)('%s: a dry run counts what it would have refused', async (framework) => {
  const { insight, rows } = fakeInsight()
  const { statuses, ask } = await serve(framework, {
    limits: '2/hour',
    insight,
    dryRun: true,
    deny: '127.0.0.9',
  })
  expect(log(await statuses(5))).toEqual({ 200: 5 })
  expect((await ask('/', { from: '127.0.0.9' })).status).toBe(200)
  expect(outcomesOf(rows[0] as Row)).toEqual({ admitted: 2, dry: 4 })
})

test.each(ADAPTERS)('%s: a request that waits for its turn', async (framework) => {
  const { insight, rows } = fakeInsight()
  const options = { limits: '5/second', burst: 1, slowDown: 350, insight }
  const { ask } = await serve(framework, options)
  const answers = await Promise.all(
    Array.from({ length: 4 }, async (_, i) => {
      await sleep(i)
      return (await ask()).status
    }),
  )
  const counted = log(answers)
  const { admitted = 0, waited = 0, denied = 0 } = outcomesOf(rows[0] as Row)
  expect([admitted, admitted + waited + denied]).toEqual([1, 4])
  // One that has waited is refused all the same where its turn comes late.
  expect(waited).toBeGreaterThanOrEqual((counted[200] ?? 0) - admitted)
  expect(denied).toBeLessThanOrEqual(counted[429] ?? 0)
  expect(waited).toBeGreaterThan(0)
})

test.each(ADAPTERS)(
  '%s: a request is counted once by a limiter that it passes twice',
  async (framework) => {
    const { insight, rows } = fakeInsight()
    const { statuses } = await serve(
      framework,
      { limits: '3/hour', scope: 'one', insight },
      { routes: [{ path: '/twice', stacked: [{ limits: '3/hour', scope: 'one' }] }] },
    )
    expect(log(await statuses(5, '/twice'))).toEqual({ 200: 3, 429: 2 })
    const all = rows.map(outcomesOf)
    expect(all.filter((one) => Object.keys(one).length > 0)).toEqual([{ admitted: 3, denied: 2 }])
  },
)

test.each(ADAPTERS)(
  '%s: with and without an insight the responses are the same',
  async (framework) => {
    const options = { limits: '2/hour', headers: 'both', deny: '127.0.0.9', slowDown: 1 }
    const { insight } = fakeInsight()
    const [with_, without] = [
      await serve(framework, { ...options, insight }, { routes: [{ path: '/a' }] }),
      await serve(framework, options, { routes: [{ path: '/a' }] }),
    ]
    for (const [path, from] of [['/a'], ['/a'], ['/a'], ['/none'], ['/a', '127.0.0.9']]) {
      const answers = [with_, without].map(({ ask }) =>
        ask(path, from === undefined ? {} : { from }),
      )
      const [one, other] = await Promise.all(answers)
      const steady = (answer: typeof one) => {
        const { date: _d, 'x-ratelimit-reset': _r, ...headers } = answer?.headers ?? {}
        return { ...answer, headers: Object.entries(headers) }
      }
      expect(steady(one)).toEqual(steady(other))
    }
  },
)

test.each(ADAPTERS)('%s: anything but an insight is refused', async (framework) => {
  for (const insight of [true, {}, { counter: () => {} }, 'view', null]) {
    await expect(async () => serve(framework, { limits: '2/hour', insight })).rejects.toThrow(
      /insight must be what insight\(\) of ratethrottle\/insight returns/,
    )
  }
})
