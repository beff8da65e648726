import type { RateLimitExceeded } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/web'
import { expect, test } from 'vitest'
import { ADMITTED, ask, deno, parts, REFUSED, told } from './requests.ts'

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any

const INFO = deno('192.0.2.1')
const limited = (options: Any = {}) => rateThrottle({ limits: '1/hour', ...options })

const OWN: Record<string, () => Response | Promise<Response>> = {
  'a text': () => new Response('mine'),
  'a promise': async () => new Response('mine'),
  'a stream': () => new Response(parts(['mi', 'ne']).body),
  'what it fetched, whose headers cannot be changed': () => fetch('data:text/plain,mine'),
  JSON: () => Response.json('mine'),
}

test.each(Object.entries(OWN))('a handler that answers with %s has the headers', async (_, run) => {
  const handler = limited().wrap(run)
  const first = await handler(ask(), INFO)
  expect([told(first), await first.text()]).toEqual([ADMITTED, expect.stringContaining('mine')])
  expect(told(await handler(ask(), INFO))).toEqual(REFUSED)
})

test('redirects, empty answers and several cookies keep what they are; an error stays one', async () => {
  const cookies = new Response('x', {
    headers: [
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ],
  })
  const fetched = await fetch('data:text/plain,mine')
  const answers = [
    Response.redirect('http://127.0.0.1/other', 303),
    new Response(null, { status: 204, statusText: 'None' }),
    cookies,
    fetched,
    Response.error(),
  ]
  const limiter = rateThrottle({ limits: '9/hour' })
  const seen = []
  for (const answer of answers) {
    const { status, statusText, headers } = await limiter.wrap(() => answer)(ask(), INFO)
    seen.push([
      status,
      statusText,
      headers.get('location'),
      headers.getSetCookie(),
      headers.get('x-ratelimit-remaining'),
    ])
  }
  expect(seen).toEqual([
    [303, '', 'http://127.0.0.1/other', [], '8'],
    [204, 'None', null, [], '7'],
    [200, '', null, ['a=1', 'b=2'], '6'],
    [200, 'OK', null, [], '5'],
    [0, '', null, [], null],
  ])
})

test('one Response for all requests shows each client its own figures', async () => {
  const empty = new Response(null, { status: 204 })
  const handler = rateThrottle({ limits: '2/hour' }).wrap(() => empty)
  const first = await handler(ask(), deno('192.0.2.1'))
  const others = [
    await handler(ask(), deno('192.0.2.1')),
    await handler(ask(), deno('192.0.2.2')),
    await handler(ask(), deno('192.0.2.1')),
  ]
  expect([first, ...others].map((answer) => told(answer).slice(0, 3))).toEqual([
    [204, '2', '1'],
    [204, '2', '0'],
    [204, '2', '1'],
    [429, '2', '0'],
  ])
})

test('a body goes on as the stream it is: by parts, cancelled with its reason, failing with its error', async () => {
  const limiter = rateThrottle({ limits: '9/hour' })
  const { body, cancelled } = parts(['a', 'b', 'c'])
  const answer = await limiter.wrap(() => new Response(body))(ask(), INFO)
  const reader = answer.body?.getReader()
  expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('a')
  await reader?.cancel('enough')
  expect(cancelled).toEqual(['enough'])
  const failing = new ReadableStream({
    pull: () => {
      throw new Error('broken')
    },
  })
  const broken = await limiter.wrap(() => new Response(failing))(ask(), INFO)
  await expect(broken.text()).rejects.toThrow('broken')
})

test('what a handler throws comes out, and is an answer with 500 to countWhen', async () => {
  const thrown = new Error('mine')
  const throwers = [
    () => {
      throw thrown
    },
    async () => {
      throw thrown
    },
  ]
  const left: Record<string, number[]> = {}
  for (const countWhen of ['failure', 'success'] as const) {
    const limiter = rateThrottle({ limits: '2/hour', countWhen })
    for (const thrower of throwers) {
      const handler = limiter.wrap(thrower)
      await expect((async () => handler(ask(), INFO))()).rejects.toBe(thrown)
    }
    const fine = limiter.wrap(() => new Response('mine'))
    const all = [1, 2, 3].map(async () => (await fine(ask(), INFO)).status)
    left[countWhen] = await Promise.all(all)
  }
  expect(left).toEqual({ failure: [429, 429, 429], success: [200, 200, 429] })
})

test('in memory a handler that answers at once is answered at once; check is always a promise', async () => {
  const limiter = limited()
  const handler = limiter.wrap(() => new Response('mine'))
  expect(handler(ask(), INFO)).toBeInstanceOf(Response)
  expect(handler(ask(), INFO)).toBeInstanceOf(Response)
  expect(limiter.check(ask(), INFO)).toBeInstanceOf(Promise)
})

test('the handler gets all that the runtime gives, and is never called for a refused request', async () => {
  const seen: unknown[] = []
  const handler = limited().wrap((request: Request, env: object, context: object) => {
    seen.push(request.url, env, context)
    return new Response('mine')
  })
  const [env, context] = [deno('192.0.2.1'), { waitUntil: () => {} }]
  await handler(ask(), env, context)
  await handler(ask(), env, context)
  expect(seen).toEqual(['http://127.0.0.1/', env, context])
})

test('check tells of a refusal, of the headers and of the decision; apply puts them on a response', async () => {
  const limiter = limited()
  const first = await limiter.check(ask(), INFO)
  expect(first.response).toBeUndefined()
  expect(Object.keys(first.headers).sort()).toEqual([
    'x-ratelimit-limit',
    'x-ratelimit-remaining',
    'x-ratelimit-reset',
  ])
  expect(first.decision).toMatchObject({ allowed: true, limit: 1, remaining: 0 })
  expect(told(first.apply(new Response('mine')))).toEqual(ADMITTED)
  const second = await limiter.check(ask(), INFO)
  expect(told(second.response as Response)).toEqual(REFUSED)
  expect(await second.response?.json()).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' })
  expect(second.headers['retry-after']).toBe(second.response?.headers.get('retry-after'))
})

test('several limiters charge a request all or none, and show the tightest', async () => {
  const outer = rateThrottle({ limits: '3/hour', key: () => 'all' })
  const inner = outer.limit({ limits: '1/hour' })
  const handler = outer.wrap(inner.wrap(() => new Response('mine')))
  expect(told(await handler(ask()))).toEqual(ADMITTED)
  expect(told(await handler(ask()))).toEqual(REFUSED)
  expect(told(await handler(ask()))).toEqual(REFUSED)
  expect(await outer.peek('all')).toMatchObject({ remaining: 2 })
  // A limiter counts a request once.
  const request = ask()
  await outer.check(request)
  await outer.check(request)
  expect(await outer.peek('all')).toMatchObject({ remaining: 1 })
})

const HANDLERS: Record<string, [Any, readonly unknown[], string]> = {
  'a Response': [() => new Response('slow down'), REFUSED, 'slow down'],
  'its own status': [
    () => new Response('slow down', { status: 503 }),
    [503, ...REFUSED.slice(1)],
    'slow down',
  ],
  'what the runtime gives': [
    (_: Request, info: typeof INFO, { retryAfter }: RateLimitExceeded) =>
      new Response(`${info.remoteAddr.hostname} ${retryAfter}`),
    REFUSED,
    '192.0.2.1 3600',
  ],
  'a promise': [async () => new Response('slow down'), REFUSED, 'slow down'],
  nothing: [() => undefined, REFUSED, 'RATE_LIMIT_EXCEEDED'],
  'an error': [
    () => {
      throw new Error('mine')
    },
    REFUSED,
    'RATE_LIMIT_EXCEEDED',
  ],
}

test.each(Object.entries(HANDLERS))(
  'option handler that returns %s',
  async (_, [handler, head, body]) => {
    const limiter = limited({ handler, onError: () => {} })
    await limiter.check(ask(), INFO)
    const { response } = await limiter.check(ask(), INFO)
    expect(told(response as Response)).toEqual(head)
    expect(await response?.text()).toContain(body)
  },
)

test('options status, message, problem, dryRun, skip, deny and methods mean what they mean elsewhere', async () => {
  const statusOf = async (options: Any, init: RequestInit = {}) => {
    const limiter = limited(options)
    await limiter.check(ask({}, init), INFO)
    const { response, headers } = await limiter.check(ask({}, init), INFO)
    return [
      response?.status,
      response?.headers.get('content-type') ?? null,
      Object.keys(headers).length,
    ]
  }
  const json = 'application/json; charset=utf-8'
  expect(await statusOf({ status: 503 })).toEqual([503, json, 4])
  expect(await statusOf({ problem: true })).toEqual([429, 'application/problem+json', 5])
  expect(await statusOf({ dryRun: true })).toEqual([undefined, null, 0])
  expect(await statusOf({ skip: () => true })).toEqual([undefined, null, 0])
  expect(await statusOf({ deny: '192.0.2.0/24' })).toEqual([403, json, 0])
  expect(await statusOf({ methods: ['POST'] })).toEqual([undefined, null, 0])
  // The Fetch standard leaves the case of this method as it was written.
  expect(await statusOf({ methods: ['PATCH'] }, { method: 'patch' })).toEqual([429, json, 4])
  expect(await statusOf({ methods: ['GET'] }, { method: 'HEAD' })).toEqual([429, json, 4])
})

test('what is no Request is refused, and a limiter without limits says so', async () => {
  const limiter = limited()
  for (const wrong of [undefined, {}, { url: '/', method: 'GET', headers: {} }]) {
    await expect(limiter.check(wrong as never)).rejects.toThrow(
      /^request must be a Request of the Fetch/,
    )
  }
  for (const app of [undefined, { fetch: () => new Response() }]) {
    expect(() => limiter.wrap(app as never)).toThrow(
      /^handler must be a function that .* app\.fetch, got /,
    )
  }
  await expect(rateThrottle({}).check(ask(), INFO)).rejects.toMatchObject({ code: 'NO_LIMITS' })
  limiter.close()
  expect((await limiter.check(ask(), INFO)).response?.status).toBe(500)
})
