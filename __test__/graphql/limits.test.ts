import { plugin } from 'ratethrottle/graphql'
import { FakeClock } from 'ratethrottle/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { ask, codeOf, extensionsOf, isServed, type Running, SERVERS } from './servers.ts'

let running: Running | undefined
afterEach(async () => {
  await running?.close()
  running = undefined
})

describe.each(SERVERS)('%s', (_name, start) => {
  it('serves exactly as many operations as the limit admits to 200 callers at once', async () => {
    running = await start(plugin({ limits: '37/hour' }))
    const { url, service } = running
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(url, '{ hello }')))
    expect(answers.filter(isServed)).toHaveLength(37)
    expect(service.runs.get('hello')).toBe(37)
    const refused = answers.filter((answer) => codeOf(answer) === 'RATE_LIMITED')
    expect(refused).toHaveLength(163)
    expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([200]))
    for (const one of refused) expect(extensionsOf(one).retryAfter).toBe(Number(one.retryAfter))
  })

  it('answers 429 to clients that ask for graphql-response+json, and admits who waits as told', async () => {
    const clock = new FakeClock()
    running = await start(plugin({ limits: '1/second', clock }))
    const { url } = running
    const accept = 'application/graphql-response+json, application/json;q=0.9'
    await ask(url, '{ hello }')
    const refused = await ask(url, '{ hello }', { accept })
    expect(refused.status).toBe(429)
    expect(codeOf(refused)).toBe('RATE_LIMITED')
    const { retryAfter } = extensionsOf(refused)
    expect(Number(refused.retryAfter)).toBe(retryAfter)
    clock.advance(Number(retryAfter) * 1_000)
    expect(isServed(await ask(url, '{ hello }'))).toBe(true)
  })

  it('tells an operation that the limit never admits that waiting does not help', async () => {
    running = await start(plugin({ limits: '10/hour' }))
    const refused = await ask(running.url, '{ users(first: 5000) { id } }')
    expect(extensionsOf(refused)).toEqual({ code: 'RATE_LIMITED', retryAfter: null, cost: 5_001 })
    expect(refused.retryAfter).toBeNull()
  })

  it('counts every operation of a batch', async () => {
    running = await start(plugin({ limits: '3/hour' }))
    const { url, service } = running
    const { body } = await ask(
      url,
      Array.from({ length: 5 }, () => ({ query: '{ hello }' })),
    )
    expect((body as unknown as object[]).length).toBe(5)
    expect(service.runs.get('hello')).toBe(3)
  })

  it('says by how much an operation is too dear or too deep', async () => {
    running = await start(plugin({ limits: '1000/minute', maxCost: 30, maxDepth: 3 }))
    const { url, service } = running
    const dear = await ask(url, '{ users(first: 100) { id } }')
    expect(dear.body.errors?.[0]).toMatchObject({
      message: 'This operation costs 101, and may cost at most 30',
      extensions: { code: 'COST_LIMIT_EXCEEDED', cost: 101, maxCost: 30 },
    })
    const deep = await ask(
      url,
      '{ ...A } fragment A on Query { users(first: 1) { friends(first: 1) { friends(first: 1) { id } } } }',
    )
    expect(deep.body.errors?.[0]).toMatchObject({
      message: 'This operation is 4 levels deep, and may be at most 3 deep',
      extensions: { code: 'DEPTH_LIMIT_EXCEEDED', depth: 4, maxDepth: 3 },
    })
    expect(service.runs.size).toBe(0)
  })

  it('refuses a text of too many tokens before it is parsed', async () => {
    running = await start(plugin({ limits: '1000/minute' }))
    const { url } = running
    const aliases = Array.from({ length: 10_000 }, (_, i) => `a${i}: hello`).join(' ')
    expect(codeOf(await ask(url, `{ ${aliases} }`))).toBe('TOKEN_LIMIT_EXCEEDED')
    expect(codeOf(await ask(url, `{ hello } ${'{'.repeat(1_500)}`))).toBe('TOKEN_LIMIT_EXCEEDED')
  })

  it('gives back what was not returned', async () => {
    running = await start(plugin({ limits: '100/hour', refund: 'actual' }))
    const { url } = running
    // 1 + 30 x 2 beforehand, 1 + 3 x 2 in the end.
    for (let i = 0; i < 5; i++) {
      expect(codeOf(await ask(url, '{ users(first: 30) { id name } }'))).toBeUndefined()
    }
    // 35 are used.
    expect(codeOf(await ask(url, '{ users(first: 64) { id } }'))).toBeUndefined()
    expect(codeOf(await ask(url, '{ users(first: 61) { id } }'))).toBe('RATE_LIMITED')
  })

  it('gives a permit back when an operation ends, and when its client leaves', async () => {
    const limits = plugin({ concurrent: 2 })
    running = await start(limits)
    const { url, service } = running
    let open: (value: unknown) => void = () => {}
    service.gate = new Promise((resolve) => {
      open = resolve
    })
    const abort = new AbortController()
    const gone = Array.from({ length: 2 }, () =>
      fetch(url, {
        method: 'POST',
        signal: abort.signal,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: '{ slow }' }),
      }).catch(() => {}),
    )
    while ((service.runs.get('slow') ?? 0) < 2)
      await new Promise((resolve) => setTimeout(resolve, 5))
    expect(codeOf(await ask(url, '{ hello }'))).toBe('RATE_LIMITED')
    abort.abort()
    await Promise.all(gone)
    while (codeOf(await ask(url, '{ hello }')) !== undefined)
      await new Promise((resolve) => setTimeout(resolve, 5))
    open(undefined)
    for (let i = 0; i < 10; i++) expect(codeOf(await ask(url, '{ hello }'))).toBeUndefined()
  })
})
