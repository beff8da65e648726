import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ROOT, run } from '../fixtures/child.ts'

const EXPECTED = [
  ['GET /api/public', '100/minute', 'ip:127.0.0.1', 130, 100],
  ['GET /api/public', '100/minute', 'ip:127.0.0.2', 60, 60],
  ['GET /api/public', '100/minute', 'user:ada', 120, 100],
  ['GET /api/protected', '1000/minute', 'user:ada', 300, 300],
  ['GET /api/protected', '1000/minute', 'user:bob', 1_100, 1_000],
  ['POST /api/report', '10/minute, 50/hour', 'user:ada', 15, 10],
  ['POST /api/report', '10/minute, 50/hour', 'ip:127.0.0.3', 12, 10],
] as const

it('npm start -- --once prints how many requests of each client were admitted', async () => {
  const { code, out, err } = await run('../examples/start.mjs', ['--once'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const rows = out.split('\n').slice(2, 2 + EXPECTED.length)
  for (const [index, [route, limit, client, sent, admitted]] of EXPECTED.entries()) {
    const cells = rows[index]?.trim().split(/ {2,}/)
    const retry = sent === admitted ? '-' : expect.stringMatching(/^\d+ s$/)
    expect(cells).toEqual([
      route,
      limit,
      client,
      `${sent}`,
      `${admitted}`,
      `${sent - admitted}`,
      retry,
    ])
  }
  expect(out).toMatch(/[\d,]+ checks per second of limiter.allow/)
  expect(out).toMatch(/[\d,]+ checks per second of limiter.check/)
  expect(out).toMatch(/\d+ HTTP requests per second/)
})

it('the gRPC example is refused, waits as it is told, and loses no message', async () => {
  const { code, out, err } = await run('../examples/grpc.mjs')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out.trim().split('\n')).toEqual([
    'hello',
    'hello',
    'RESOURCE_EXHAUSTED: Rate limit exceeded, retry in 1 second; retry-after 1',
    'hello',
    '30 messages came back',
  ])
})

it('npm start refuses an unknown argument by name', async () => {
  const { code, err } = await run('../examples/start.mjs', ['--twice'])
  expect(code).toBe(2)
  expect(err).toContain('--twice')
})

it('npm start refuses an invalid port with a message', async () => {
  const { code, err } = await run('../examples/start.mjs', ['--once'], { PORT: 'abc' })
  expect([code, err]).toEqual([2, 'PORT must be an integer from 0 to 65535, not "abc"\n'])
})

it('the cluster example admits exactly its limit over all processes', async () => {
  const { code, out, err } = await run('../examples/cluster-shared.mjs')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/\d+ processes admitted 1000 of 1500 requests; the limit is 1000\n$/)
  expect(out.match(/^process \d+ admitted [1-9]/gm)?.length).toBeGreaterThan(1)
})

it('the cluster example admits exactly its limit also if its requests take nine seconds', async () => {
  const preload = `--require=${join(ROOT, '__test__/fixtures/late-requests.cjs')}`
  const { out } = await run('../examples/cluster-shared.mjs', [], {}, [preload])
  expect(out).toContain('admitted 1000 of 1500 requests')
})

it('the example of permits lets two of a user in, one wait, and refuses the next', async () => {
  const { code, out, err } = await run('../examples/concurrency.mjs')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const users = ['alice: done', 'alice: done', 'alice: done', 'alice: too many at a time']
  const all = [...users, 'bob: done', 'bob: done', 'at most 3 at a time', '']
  expect(out.split('\n')).toEqual(all)
})

it('the GraphQL example gives back what was not used, and refuses what is too dear', async () => {
  const { code, out, err } = await run('../examples/graphql.mjs')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const answers = out
    .trim()
    .split('\n')
    .map((line) => line.replace(/^.*: /, ''))
  const all = ['3 books', '3 books', '3 books', 'RATE_LIMITED, 86', 'COST_LIMIT_EXCEEDED, 501']
  expect(answers).toEqual(all)
})
