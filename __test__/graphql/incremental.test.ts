import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { RateLimiter } from 'ratethrottle'
import { plugin } from 'ratethrottle/graphql'
import { expect, it, onTestFinished } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { ask, closeGate, codeOf, newService, type Service, schemaOf, yogaWith } from './servers.ts'

const { useDeferStream } = createRequire(join(process.cwd(), 'package.json'))(
  '@graphql-yoga/plugin-defer-stream',
) as { useDeferStream(): object }

/** Yoga with `@defer` and `@stream`. */
async function start(): Promise<{
  url: string
  service: Service
  limiter: RateLimiter
}> {
  const limiter = new RateLimiter(
    { count: 1_000, windowMs: 3_600_000 },
    { algorithm: 'fixed-window' },
  )
  const limits = plugin({ storage: limiter, key: () => 'all', concurrent: 1, refund: 'actual' })
  const service = newService()
  const yoga = yogaWith(limits, service, [useDeferStream()])
  const server = createServer(yoga)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await yoga.dispose()
    limiter.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/graphql`, service, limiter }
}

/** Asks for an answer in parts, and has the first of them. */
async function firstPart(
  url: string,
  query: string,
  signal?: AbortSignal,
): Promise<{ readonly first: string; rest(): Promise<string> }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'multipart/mixed' },
    body: JSON.stringify({ query }),
    ...(signal === undefined ? {} : { signal }),
  })
  expect(response.headers.get('content-type')).toContain('multipart/mixed')
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decode = (part: Uint8Array | undefined): string => new TextDecoder().decode(part)
  let first = ''
  while (!first.includes('hasNext')) first += decode((await reader.read()).value)
  const rest = async (): Promise<string> => {
    let text = ''
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decode(part.value)
    }
    return text
  }
  return { first, rest }
}

// Each is charged 1 + 30 x 1 and `slow`, of which three users are returned.
const WAYS = [
  ['@defer', '{ users(first: 30) { id } ... @defer { slow } }'],
  ['@stream', '{ users(first: 30) @stream(initialCount: 1) { id } ... @defer { slow } }'],
] as const

it.each(WAYS)(
  '%s: the permit is held until the last part, and the estimate is charged',
  async (_way, query) => {
    const { url, service, limiter } = await start()
    for (let round = 1; round <= 3; round++) {
      const open = closeGate(service)
      const { first, rest } = await firstPart(url, query)
      expect(first).toContain('"id":"0"')
      expect(codeOf(await ask(url, '{ hello }'))).toBe('RATE_LIMITED')
      open()
      expect(await rest()).toContain('"slow":"done"')
      await expect.poll(async () => codeOf(await ask(url, '{ hello }'))).toBeUndefined()
      expect(limiter.peek('all').remaining).toBe(1_000 - round * 33)
    }
    expect(service.runs.get('slow')).toBe(3)
  },
)

it.each(WAYS)(
  '%s: a client that leaves between two parts gives its permit back, and gets nothing back',
  async (_way, query) => {
    const { url, service, limiter } = await start()
    closeGate(service)
    for (let round = 1; round <= byLength(3, 50); round++) {
      const left = new AbortController()
      await firstPart(url, query, left.signal)
      left.abort()
      await expect.poll(async () => codeOf(await ask(url, '{ hello }'))).toBeUndefined()
      expect(limiter.peek('all').remaining).toBe(1_000 - round * 33)
    }
  },
)

it('Apollo: an answer in parts is over with its last', async () => {
  const limits = plugin({ key: () => 'all', concurrent: 1, limits: '100/hour' })
  onTestFinished(() => limits.close())
  const { parse } = await import('graphql')
  const service = newService()
  const asked = {
    schema: schemaOf(service),
    document: parse('{ hello }'),
    contextValue: {},
    operation: {},
    request: { query: '{ hello }' },
  }
  const begin = async (): Promise<{ send(body: unknown): Promise<void> }> => {
    const context = { ...asked, response: {} as { body?: unknown } }
    const listener = await limits.requestDidStart(context)
    await listener.didResolveOperation(context)
    const send = async (body: unknown): Promise<void> => {
      context.response.body = body
      await listener.willSendResponse(context)
    }
    return { send }
  }
  async function* parts(): AsyncIterable<object> {
    yield { hasNext: true }
    yield { hasNext: false }
  }
  for (const isWhole of [true, false]) {
    const body = { kind: 'incremental', initialResult: {}, subsequentResults: parts() }
    await (await begin()).send(body)
    await expect(begin()).rejects.toThrow('Too many requests at a time')
    for await (const _ of body.subsequentResults) if (!isWhole) break
    const { send } = await begin()
    await send({ kind: 'single', singleResult: { data: { hello: 'world' } } })
  }
})

it('Envelop: an answer in parts is over with its last, with no response that ends', async () => {
  const limits = plugin({ key: () => 'all', concurrent: 1 })
  onTestFinished(() => limits.close())
  const { parse } = await import('graphql')
  const args = { schema: schemaOf(newService()), document: parse('{ hello }') }
  const begin = async (result: unknown): Promise<(() => void) | undefined> => {
    const hooks = await limits.onExecute({
      args: { ...args, contextValue: {} },
      executeFn: undefined as never,
      setExecuteFn() {},
      setResultAndStopExecution() {},
    })
    const done = hooks?.onExecuteDone({ result }) as { onEnd?(): void } | undefined
    return hooks && (done?.onEnd ?? (() => {}))
  }
  const parts = { [Symbol.asyncIterator]() {} }
  for (let round = 0; round < 3; round++) {
    const onEnd = await begin(parts)
    expect(await begin(parts)).toBeUndefined()
    onEnd?.()
    // The executor of graphql 17 has the rest apart.
    expect(await begin({ initialResult: {}, subsequentResults: parts })).toBeDefined()
  }
})
