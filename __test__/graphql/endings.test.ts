import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { RateLimiter } from 'ratethrottle'
import { plugin } from 'ratethrottle/graphql'
import { afterEach, describe, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import {
  ask,
  closeGate,
  codeOf,
  isServed,
  newService,
  type Running,
  SERVERS,
  yogaWith,
} from './servers.ts'

let running: Running | undefined
afterEach(async () => {
  await running?.close()
  running = undefined
})

/** Sends a request, and leaves: before it is whole, once resolvers run, or when the answer comes. */
async function hangUp(
  url: string,
  when: 'before' | 'during' | 'after',
  query: string,
): Promise<void> {
  const body = JSON.stringify({ query })
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  const head = `POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  socket.write(when === 'before' ? head + body.slice(0, 5) : head + body)
  if (when === 'after') await new Promise((resolve) => socket.once('data', resolve))
  else await pause(when === 'during' ? 20 : 2)
  socket.resetAndDestroy()
}

const LIMIT = { count: 100_000, windowMs: 3_600_000 }

describe.each(SERVERS)('%s', (_name, start) => {
  it('clients that hang up get nothing back, and leave nothing', { timeout: 120_000 }, async () => {
    const limiter = new RateLimiter(LIMIT, { algorithm: 'fixed-window' })
    running = await start(
      plugin({ storage: limiter, key: () => 'all', concurrent: 50, refund: 'actual' }),
    )
    const { url, service } = running
    await ask(url, '{ hello }')
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length
    const before = timers()
    const open = closeGate(service)
    const used = limiter.peek('all').remaining
    for (let round = 0; round < byLength(1, 34); round++) {
      // One unit, and what 1 + 30 x 1 is beforehand.
      await Promise.all(Array.from({ length: 10 }, () => hangUp(url, 'before', '{ hello }')))
      await Promise.all(
        Array.from({ length: 10 }, () => hangUp(url, 'during', '{ users(first: 30) { id } slow }')),
      )
      await Promise.all(Array.from({ length: 10 }, () => hangUp(url, 'after', '{ hello }')))
    }
    // Each of those that began is charged all of it. On a slow machine some begin only now.
    const excess = (): number => {
      const hellos = (service.runs.get('hello') ?? 1) - 1
      const charged = used - limiter.peek('all').remaining
      return charged - (service.runs.get('slow') ?? 0) * 32 - hellos
    }
    await expect.poll(excess).toBe(0)
    open()
    await pause(50)
    await expect.poll(excess).toBe(0)
    const ran = service.runs.get('slow') ?? 0
    // All permits are back.
    const reopen = closeGate(service)
    const slow = Array.from({ length: 50 }, () => ask(url, '{ slow }'))
    await expect.poll(() => service.runs.get('slow'), { timeout: 60_000 }).toBe(ran + 50)
    expect(codeOf(await ask(url, '{ hello }'))).toBe('RATE_LIMITED')
    reopen()
    expect((await Promise.all(slow)).every((one) => codeOf(one) === undefined)).toBe(true)
    await expect.poll(() => timers() <= before + 1).toBe(true)
    limiter.close()
  })

  it('a null that an error below has made counts as what was asked for', async () => {
    const limiter = new RateLimiter(LIMIT, { algorithm: 'fixed-window' })
    running = await start(plugin({ storage: limiter, key: () => 'all', refund: 'actual' }))
    const { url } = running
    const costs: number[] = []
    for (const query of [
      // 1 + 2 x 3: one user is null, whose two fields may have run.
      '{ users(first: 30) { id name } }',
      '{ users(first: 3) { id broken } }',
      '{ crash { name broken } }',
      '{ users(first: 0) { id } }',
      '{ named { __typename name ... on Robot { serial } } }',
      // Who has no serial is no robot.
      '{ named { name ... on Robot { serial } } }',
    ]) {
      const before = limiter.peek('all').remaining
      await ask(url, query)
      costs.push(before - limiter.peek('all').remaining)
    }
    expect(costs).toEqual([7, 7, 3, 1, 1 + 2 + 2, 1 + 2 + 2])
    limiter.close()
  })
})

it('a persisted query of Apollo is counted when it is executed', async () => {
  const [, start] = SERVERS[1] ?? []
  running = await start?.(plugin({ limits: '2/hour' }))
  const { url = '', service } = running ?? {}
  const query = '{ hello }'
  const sha256Hash = createHash('sha256').update(query).digest('hex')
  const extensions = { persistedQuery: { version: 1, sha256Hash } }
  const codes: unknown[] = []
  for (const body of [{ extensions }, { query, extensions }, { extensions }, { extensions }])
    codes.push(codeOf(await ask(url, body)))
  expect(codes).toEqual(['PERSISTED_QUERY_NOT_FOUND', undefined, undefined, 'RATE_LIMITED'])
  expect(service?.runs.get('hello')).toBe(2)
})

it('of several operations the one that is executed counts', async () => {
  for (const [name, start] of SERVERS) {
    running = await start(plugin({ limits: '100/hour', maxCost: 10 }))
    const { url } = running
    const query = 'query Cheap { hello } query Dear { dear }'
    expect(isServed(await ask(url, { query, operationName: 'Cheap' })), name).toBe(true)
    expect(codeOf(await ask(url, { query, operationName: 'Dear' })), name).toBe(
      'COST_LIMIT_EXCEEDED',
    )
    const batch = [
      { query, operationName: 'Dear' },
      { query, operationName: 'Cheap' },
    ]
    const { body } = await ask(url, batch)
    const [dear, cheap] = body as unknown as { data?: { hello?: string } }[]
    expect([dear?.data ?? null, cheap?.data], name).toEqual([null, { hello: 'world' }])
    await running.close()
    running = undefined
  }
})

it('a subscription is charged once, and holds its permit until it ends or its client leaves', async () => {
  const limiter = new RateLimiter(LIMIT, { algorithm: 'fixed-window' })
  const limits = plugin({ storage: limiter, key: () => 'all', concurrent: 1, refund: 'actual' })
  const service = newService()
  const yoga = yogaWith(limits, service)
  const subscribe = (query: string, signal?: AbortSignal): Promise<Response> =>
    yoga.fetch('http://localhost/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query }),
      signal,
    })
  const whole = await (await subscribe('subscription { ticks(count: 4) }')).text()
  expect(whole.match(/"ticks":/g)).toHaveLength(4)
  expect(LIMIT.count - limiter.peek('all').remaining).toBe(1)
  for (let i = 0; i < 3; i++) {
    const { body } = await subscribe('subscription { ticks(count: 1000000) }')
    const reader = body?.getReader()
    await reader?.read()
    expect(await (await subscribe('{ hello }')).text()).toContain('RATE_LIMITED')
    await reader?.cancel()
    await expect.poll(async () => (await subscribe('{ hello }')).text()).toContain('world')
  }
  limits.close()
  limiter.close()
})
