import { byUser, type Operation, plugin } from 'ratethrottle/graphql'
import { insight } from 'ratethrottle/insight'
import { shield } from 'ratethrottle/shield'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { serverForTest } from '../redis/server.ts'
import { ask, codeOf, extensionsOf, isServed, type Running, SERVERS, yogaWith } from './servers.ts'

let running: Running | undefined
afterEach(async () => {
  await running?.close()
  running = undefined
})

const forwarded = (address: string): Record<string, string> => ({ 'x-forwarded-for': address })

describe.each(SERVERS)('%s', (_name, start) => {
  it('counts by the address of the socket, whatever a header says', async () => {
    running = await start(plugin({ limits: '1/hour' }))
    const { url } = running
    const codes = []
    for (const one of ['192.0.2.1', '192.0.2.2'])
      codes.push(codeOf(await ask(url, '{ hello }', forwarded(one))))
    expect(codes).toEqual([undefined, 'RATE_LIMITED'])
  })

  it('believes proxies that it trusts, and counts IPv6 by /64', async () => {
    running = await start(plugin({ limits: '1/hour', trust: 'loopback' }))
    const { url } = running
    const addresses = [
      '192.0.2.1',
      '192.0.2.2',
      '192.0.2.1',
      '2001:db8::1',
      '2001:db8::2',
      '2001:db8:0:1::1',
    ]
    const served = []
    for (const one of addresses) served.push(isServed(await ask(url, '{ hello }', forwarded(one))))
    expect(served).toEqual([true, true, false, true, false, true])
  })

  it('counts by what a key function finds in the context, and refuses who has no key', async () => {
    const userOf = ({ request }: Operation): string => String(request?.headers['x-user'] ?? '')
    running = await start(plugin({ limits: '1/hour', key: byUser(userOf), missingKey: 'deny' }))
    const { url, service } = running
    const codes = []
    for (const user of ['ada', 'bob', 'ada'])
      codes.push(codeOf(await ask(url, '{ hello }', { 'x-user': user })))
    expect(codes).toEqual([undefined, undefined, 'RATE_LIMITED'])
    expect(codeOf(await ask(url, '{ hello }'))).toBe('KEY_MISSING')
    expect(service.runs.get('hello')).toBe(2)
  })

  it('an insight sees operations by kind, and by name only where the program lists it', async () => {
    const view = insight()
    onTestFinished(() => view.close())
    running = await start(plugin({ limits: '5/hour', insight: view, operations: ['Hello'] }))
    const { url } = running
    for (const name of ['Hello', 'Secret', 'Hello'])
      await ask(url, { query: `query ${name} { hello }` })
    await ask(url, 'mutation Change { change }')
    for (let i = 0; i < 3; i++) await ask(url, '{ hello }')
    const { limits, routes } = view.report()
    expect(limits).toMatchObject([{ name: 'graphql', admitted: 5, denied: 2 }])
    const shown = routes.map(({ route, admitted, denied }) => [route, admitted, denied]).sort()
    expect(shown).toEqual([
      ['mutation', 1, 0],
      ['query Hello', 2, 0],
      ['query', 2, 2],
    ])
    expect(JSON.stringify(view.report())).not.toContain('Secret')
  })

  it('a shield is asked for each operation, by address', async () => {
    const guard = shield({ mode: 'enforce' })
    onTestFinished(() => guard.close())
    running = await start(plugin({ limits: '100/hour', shield: guard }))
    const { url, service } = running
    expect(isServed(await ask(url, '{ hello }'))).toBe(true)
    guard.block('127.0.0.1', 60_000)
    const refused = await ask(url, '{ hello }')
    expect(codeOf(refused)).toBe('ABNORMAL_USAGE')
    expect(extensionsOf(refused).retryAfter).toBe(Number(refused.retryAfter))
    // Also one that no limit is asked about.
    expect(service.runs.get('hello')).toBe(1)
    guard.pardon('127.0.0.1')
    expect(isServed(await ask(url, '{ hello }'))).toBe(true)
  })

  it('a dry run reports, and refuses nothing', async () => {
    const denied: boolean[] = []
    const onDeny = ({ dryRun }: { dryRun: boolean }): void => void denied.push(dryRun)
    running = await start(
      plugin({ limits: '1/hour', maxCost: 2, maxDepth: 1, dryRun: true, onDeny }),
    )
    const { url } = running
    for (let i = 0; i < 3; i++) expect(isServed(await ask(url, '{ hello }'))).toBe(true)
    expect(codeOf(await ask(url, '{ users { id } }'))).toBeUndefined()
    expect(denied).toEqual([true, true, true, true])
  })

  it('is told of refusals, and of failures that clients are not told of', async () => {
    const events: unknown[] = []
    const key = ({ operationName }: Operation): string => {
      if (operationName === 'Fail') throw new Error('secret')
      return 'ada'
    }
    const onDeny = ({ request, key: of }: { request: Operation; key: string | undefined }): void =>
      void events.push([of, request.cost, request.kind])
    const onError = ({ error }: { error: unknown }): void => void events.push(String(error))
    running = await start(
      plugin({ limits: '1/hour', maxCost: 5, key, onKeyError: 'deny', onDeny, onError }),
    )
    const { url } = running
    const bodies = []
    for (const query of ['{ hello }', '{ hello }', '{ dear }', 'query Fail { hello }'])
      bodies.push((await ask(url, query)).body)
    expect(bodies.map((body) => codeOf({ body }))).toEqual([
      undefined,
      'RATE_LIMITED',
      'COST_LIMIT_EXCEEDED',
      'RATE_LIMITER_FAILED',
    ])
    expect(events).toEqual([['ada', 1, 'query'], [undefined, 20, 'query'], 'Error: secret'])
    expect(JSON.stringify(bodies)).not.toContain('secret')
  })

  it.each(['shared', 'redis'])('counts exactly where the counters are %s', async (tier) => {
    const name = `graphql ${process.pid} ${Math.random()}`
    const url = tier === 'redis' ? (await serverForTest()).url : undefined
    const storage = url ?? `shared:${name}`
    const limits = plugin({
      limits: '40/hour',
      algorithm: 'fixed-window',
      storage,
      // A machine that does other things is no reason to decide without Redis.
      deadlineMs: 10_000,
      connectTimeoutMs: 60_000,
      refund: 'actual',
      concurrent: 200,
    })
    await limits.ready()
    running = await start(limits)
    const { service } = running
    const query = '{ users(first: 30) { id } }'
    // Each is charged 31, and keeps 4 of them.
    for (let i = 0; i < 3; i++) expect(codeOf(await ask(running.url, query))).toBeUndefined()
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => ask(running?.url ?? '', '{ hello }')),
    )
    expect(answers.filter(isServed)).toHaveLength(28)
    expect(service.runs.get('hello')).toBe(28)
  })
})

describe('without a request of node:http', () => {
  const post = (query: string, headers: Record<string, string> = {}): object => ({
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query }),
  })

  it('a client without an address is refused, unless the options say how to count it', async () => {
    const codes = async (options: object): Promise<unknown[]> => {
      const limits = plugin({ limits: '1/hour', ...options })
      const yoga = yogaWith(limits)
      const found = []
      for (const who of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) {
        const response = await yoga.fetch('http://localhost/graphql', post('{ hello }', { who }))
        found.push(codeOf({ body: (await response.json()) as never }))
      }
      limits.close()
      return found
    }
    expect(await codes({})).toEqual(['KEY_MISSING', 'KEY_MISSING', 'KEY_MISSING'])
    expect(await codes({ missingKey: 'shared' })).toEqual([
      undefined,
      'RATE_LIMITED',
      'RATE_LIMITED',
    ])
    const address = ({ request }: { request: Request }): string | undefined =>
      request.headers.get('who') ?? undefined
    expect(await codes({ address })).toEqual([undefined, 'RATE_LIMITED', undefined])
    expect(await codes({ address: () => 'no address' })).toEqual([
      'KEY_MISSING',
      'KEY_MISSING',
      'KEY_MISSING',
    ])
  })
})
