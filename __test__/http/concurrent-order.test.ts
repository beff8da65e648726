import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { FakeClock } from 'ratethrottle'
import { defineConfig } from 'ratethrottle/config'
import { rateThrottle } from 'ratethrottle/http'
import { insight } from 'ratethrottle/insight'
import { expect, onTestFinished, test } from 'vitest'
import { gauge } from './gauge.ts'
import { serveApp } from './serve.ts'

// biome-ignore lint/suspicious/noExplicitAny: any options
type Options = any

/** A server of limiters one within the other, whose handler is held until it is opened. */
async function start(...all: Options[]) {
  const inside = gauge()
  /** How many requests have been asked for their key, and how many have ended, also by a client that left. */
  const seen = { asked: 0, ended: 0 }
  const key = (): string => {
    seen.asked++
    return 'k'
  }
  const limiters = all.map((options) => rateThrottle({ key, ...options }))
  const handle = async (_: IncomingMessage, response: ServerResponse): Promise<void> => {
    await inside.handle()
    response.end('served')
  }
  const listener = limiters.reduceRight<
    (request: IncomingMessage, response: ServerResponse) => void
  >((inner, limiter) => limiter.wrap(inner), handle)
  onTestFinished(() => {
    inside.open()
    for (const limiter of limiters) limiter.close()
  })
  const server = createServer(listener).prependListener('request', (_, response) => {
    response.once('close', () => seen.ended++)
  })
  const served = await serveApp(server)
  const [limiter] = limiters as [ReturnType<typeof rateThrottle>]
  return { ...served, inside, seen, limiter, limiters }
}

test('a request that gets no permit charges no limit and is no offence', async () => {
  const { ask, inside, limiter } = await start({
    limits: '2/hour',
    blockFor: '1 hour',
    concurrent: 1,
    clock: new FakeClock(),
  })
  const first = ask()
  await inside.reaches(1)
  for (let i = 0; i < 5; i++) expect((await ask()).headers['retry-after']).toBe('1')
  expect(limiter.peek('k')).toMatchObject({ allowed: false, limit: 1, retryAfterMs: 1_000 })
  inside.open()
  await first
  await expect
    .poll(() => limiter.peek('k'))
    .toMatchObject({ allowed: true, limit: 2, remaining: 1 })
  expect((await ask()).status).toBe(200)
  // Now the limits refuse, and are named although a permit is free.
  expect((await ask()).headers).toMatchObject({ 'x-ratelimit-limit': '2', 'retry-after': '3600' })
})

test('several limiters of one request: all or nothing, permits included', async () => {
  const outer = { limits: '9/hour', concurrent: 2, scope: 'outer' }
  const { ask, inside, limiters } = await start(outer, {
    limits: '5/hour',
    concurrent: 1,
    scope: 'inner',
  })
  const first = ask()
  await inside.reaches(1)
  expect(
    await Promise.all([ask(), ask(), ask(), ask()]).then((all) => all.map(({ status }) => status)),
  ).toEqual([429, 429, 429, 429])
  const [a, b] = limiters
  // The inner limiter refused, and the outer one has given back its permit and its unit.
  expect(a?.peek('k')).toMatchObject({ allowed: true, remaining: 8 })
  expect(b?.peek('k')).toMatchObject({ allowed: false, limit: 1 })
  inside.open()
  await first
  await expect.poll(() => b?.peek('k')).toMatchObject({ allowed: true, remaining: 4 })
})

test('a limiter that a request passes twice takes one permit, and so do two of one scope', async () => {
  const { ask, inside } = await start({ concurrent: 1, scope: 's' }, { concurrent: 1, scope: 's' })
  inside.open()
  expect((await ask()).status).toBe(200)
  const limiter = rateThrottle({ concurrent: 1, key: () => 'k' })
  const twice = await serveApp(
    createServer(limiter.wrap(limiter.wrap((_, response) => void response.end()))),
  )
  expect((await twice.ask()).status).toBe(200)
})

test('scopes share their permits', async () => {
  const one = await start({ concurrent: 1, scope: 'shared by two' })
  const two = await start({ concurrent: 1, scope: 'shared by two' })
  const first = one.ask()
  await one.inside.reaches(1)
  expect((await two.ask()).status).toBe(429)
  one.inside.open()
  two.inside.open()
  await first
  await expect.poll(async () => (await two.ask()).status).toBe(200)
})

test('a request waits in the queue before it is charged, and one that its client leaves is not', async () => {
  const { ask, inside, seen, limiter } = await start({
    limits: '3/hour',
    concurrent: { perKey: 1, queue: 2 },
  })
  const first = ask()
  await inside.reaches(1)
  const leave = new AbortController()
  const left = ask('/', { signal: leave.signal }).catch(() => 'left')
  const second = ask()
  await expect.poll(() => seen.asked).toBe(3)
  // The queue is full.
  expect((await ask()).status).toBe(429)
  await expect.poll(() => seen.ended).toBe(1)
  leave.abort()
  expect(await left).toBe('left')
  // The server hears of it.
  await expect.poll(() => seen.ended).toBe(2)
  inside.open()
  expect([(await first).status, (await second).status]).toEqual([200, 200])
  await expect.poll(() => limiter.peek('k')).toMatchObject({ allowed: true, remaining: 1 })
  expect(inside.most).toBe(1)
})

test('a wait for a permit ends after maxWaitMs, and when the server shuts down', async () => {
  const { ask, inside } = await start({ concurrent: { perKey: 1, queue: 9, maxWaitMs: 20 } })
  void ask().catch(() => {})
  await inside.reaches(1)
  const { status, headers } = await ask()
  expect([status, headers['retry-after']]).toEqual([429, '1'])
  const other = await start({ concurrent: { perKey: 1, queue: 9 } })
  void other.ask().catch(() => {})
  await other.inside.reaches(1)
  const waiting = other.ask()
  await expect.poll(() => other.seen.asked).toBe(2)
  other.limiter.close()
  expect((await waiting).status).toBe(429)
})

test('slowDown: a request has no permit while it waits for its turn', async () => {
  const clock = new FakeClock()
  const key = ({ url }: IncomingMessage) => url
  const options = {
    limits: '1/second',
    slowDown: '5 seconds',
    concurrent: { total: 1 },
    clock,
    key,
  }
  const { ask, inside } = await start(options)
  inside.open()
  expect((await ask('/a')).status).toBe(200)
  const delayed = ask('/a')
  await sleep(30)
  // Others are served meanwhile.
  expect((await ask('/b')).status).toBe(200)
  expect(inside.entered).toBe(2)
  clock.advance(1_000)
  expect((await delayed).status).toBe(200)
})

test('a permit that another limiter refused is free while the refusal is still being answered', async () => {
  let answer: () => void = () => {}
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  const handler = async (_: unknown, response: ServerResponse): Promise<void> => {
    await answered
    response.end('no')
  }
  const { ask, inside, limiter } = await start({ concurrent: 2 }, { concurrent: 1, handler })
  const first = ask()
  await inside.reaches(1)
  const refused = ask()
  await sleep(30)
  expect(limiter.peek('k')).toMatchObject({ allowed: true })
  answer()
  inside.open()
  expect([(await first).status, (await refused).status]).toEqual([200, 429])
})

test('slowDown: a request that gets no permit after its turn has charged nothing', async () => {
  const options = { limits: '2/hour', slowDown: 1, concurrent: 1 }
  const { ask, inside, limiter } = await start(options)
  const first = ask()
  await inside.reaches(1)
  expect((await ask()).status).toBe(429)
  inside.open()
  await first
  await expect.poll(() => limiter.peek('k')).toMatchObject({ allowed: true, remaining: 1 })
})

test('countWhen: a refusal for want of a permit does not count, and no unit stays held', async () => {
  const { ask, inside, limiter } = await start({
    limits: '2/hour',
    countWhen: 'failure',
    concurrent: 1,
  })
  const first = ask()
  await inside.reaches(1)
  expect((await ask()).status).toBe(429)
  inside.open()
  await first
  await expect.poll(() => limiter.peek('k')).toMatchObject({ allowed: true, remaining: 2 })
})

test('functions that fail leave no permit', async () => {
  const cost = (request: IncomingMessage): number => {
    if (request.url === '/bad') throw new Error('cost')
    return 1
  }
  const later = async (request: IncomingMessage): Promise<number> => cost(request)
  for (const own of [cost, later]) {
    const { ask, inside } = await start({
      limits: '9/hour',
      cost: own,
      concurrent: 1,
      onError: () => {},
    })
    inside.open()
    expect((await ask('/bad')).status).toBe(500)
    expect((await ask()).status).toBe(200)
  }
})

test('limits by a function: each of them with the permits, and an exempt request without', async () => {
  const limits = ({ url }: IncomingMessage) => (url === '/free' ? false : '9/hour')
  const { ask, inside } = await start({ limits, concurrent: 1, headers: 'draft' })
  const first = ask()
  await inside.reaches(1)
  inside.open()
  expect((await ask('/free')).status).toBe(200)
  expect((await first).headers['ratelimit-policy']).toBe(
    '"9-in-1h";q=9;w=3600, "concurrent";q=1;qu="concurrent-requests"',
  )
})

test('an insight counts refusals for want of a permit as denials of the limiter and of its route', async () => {
  for (const limits of ['9/hour', undefined]) {
    const view = insight()
    onTestFinished(() => view.close())
    const options = { name: 'api', concurrent: { perKey: 1, queue: 1 }, insight: view }
    const all = limits === undefined ? options : { ...options, limits }
    const { ask, inside, seen } = await start(all)
    const first = ask()
    await inside.reaches(1)
    const second = ask()
    await expect.poll(() => seen.asked).toBe(2)
    expect((await ask()).status).toBe(429)
    inside.open()
    await Promise.all([first, second])
    const {
      limits: [row],
      routes: [route],
    } = view.report()
    expect(row).toMatchObject({ name: 'api', admitted: 2, denied: 1, waited: 1, waiting: 0 })
    expect(route).toMatchObject({ limit: 'api', admitted: 1, waited: 1, denied: 1 })
  }
})

test('a limit of a route: its own permits, those of its parent, or none', async () => {
  const config = defineConfig({
    concurrent: 1,
    limiters: {
      api: { limits: '9/hour' },
      open: { limits: '9/hour', concurrent: false },
      two: { concurrent: 2 },
    },
    routes: { '/open': 'open', '/two': 'two', '*': 'api' },
  })
  const { ask, inside } = await start({ config })
  const asked = ['/', '/open', '/open', '/two', '/two'].map((path) => ask(path))
  await inside.reaches(5)
  expect((await ask()).status).toBe(429)
  expect((await ask('/two')).status).toBe(429)
  inside.open()
  await Promise.all(asked)
})

test('options that are no permits are refused, and nothing is silently unlimited', () => {
  for (const concurrent of [
    0,
    -1,
    1.5,
    '4',
    true,
    null,
    {},
    { perKey: 0 },
    { perkey: 1 },
    [1],
    { queue: 2 },
  ]) {
    expect(
      () => rateThrottle({ limits: '1/s', concurrent } as Options),
      JSON.stringify(concurrent),
    ).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  }
  expect(() => rateThrottle({ concurrent: false } as Options)).toThrow(/limit/)
})
