import { getEventListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Hono } from 'hono'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle } from 'ratethrottle/web'
import { expect, test } from 'vitest'
import { ask, deno, parts } from './requests.ts'

// Where there is no response of node:http to watch: a permit is held until the body was sent, or never will be.

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any
type Fetch = (request: Request) => Response | Promise<Response>

const INFO = deno('192.0.2.1')
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Both faces, around one handler. */
const FACES: Record<string, (run: Fetch, options?: Any) => Fetch> = {
  web: (run, options) => {
    const handler = rateThrottle({ concurrent: 1, ...options }).wrap(run)
    return (request) => handler(request, INFO)
  },
  'web, by check and apply': (run, options) => {
    const limiter = rateThrottle({ concurrent: 1, ...options })
    return async (request) => {
      const { response, apply } = await limiter.check(request, INFO)
      // The program answers its own errors, and shows those answers too.
      const failed = (): Response => new Response(null, { status: 500 })
      return response ?? apply(await (async () => run(request))().catch(failed))
    }
  },
  hono: (run, options) => {
    const app = new Hono()
    app.use(forHono({ concurrent: 1, ...options }))
    app.all('/', (c) => run(c.req.raw) as never)
    app.onError(
      (error) => (error as Any).getResponse?.() ?? new Response('failed', { status: 500 }),
    )
    return (request) => app.fetch(request, INFO)
  },
}
const faces = Object.entries(FACES)

/** Whether a permit is free: asked by a request that is over at once. */
const isFree = async (fetch: Fetch): Promise<boolean> => {
  const { status, body } = await fetch(ask({ 'x-probe': 'yes' }))
  await body?.cancel()
  return status !== 429
}
const probed =
  (run: Fetch): Fetch =>
  (request) =>
    request.headers.has('x-probe') ? new Response(null, { status: 204 }) : run(request)

test.each(faces)('%s: while a body is read the permit is held, and then free', async (_, face) => {
  const fetch = face(probed(() => new Response(parts(['a', 'b']).body)))
  const answer = await fetch(ask())
  const reader = answer.body?.getReader() as ReadableStreamDefaultReader<unknown>
  const seen = [await isFree(fetch)]
  while (!(await reader.read()).done) seen.push(await isFree(fetch))
  expect(seen).toEqual([false, false, false])
  expect(await isFree(fetch)).toBe(true)
})

const ENDS: Record<string, () => Response | Promise<Response>> = {
  'no body': () => new Response(null),
  '204': () => new Response(null, { status: 204 }),
  'a redirect': () => Response.redirect('http://127.0.0.1/other', 302),
  'an error': () => Promise.reject(new Error('mine')),
  'an error at once': () => {
    throw new Error('mine')
  },
}

test.each(faces)('%s: an answer without a body frees the permit at once', async (_, face) => {
  for (const [name, run] of Object.entries(ENDS)) {
    const fetch = face(probed(run))
    await Promise.resolve()
      .then(() => fetch(ask()))
      .catch(() => {})
      .then(async (answer) => answer?.status === 500 && answer.text())
    expect([name, await isFree(fetch)]).toEqual([name, true])
  }
})

test.each(faces)('%s: nobody reads the body of an answer to HEAD', async (_, face) => {
  const fetch = face(probed(() => new Response('mine')))
  await fetch(ask({}, { method: 'HEAD' }))
  expect(await isFree(fetch)).toBe(true)
})

test.each(faces)(
  '%s: a body that is cancelled or fails frees it, and the source is told',
  async (_, face) => {
    const { body, cancelled } = parts(['a', 'b', 'c'])
    const fetch = face(probed(() => new Response(body)))
    const answer = await fetch(ask())
    expect(await isFree(fetch)).toBe(false)
    await answer.body?.cancel('gone')
    expect([cancelled, await isFree(fetch)]).toEqual([['gone'], true])
    const broken = new ReadableStream({
      pull: () => {
        throw new Error('broken')
      },
    })
    const failing = face(probed(() => new Response(broken)))
    const failed = await failing(ask())
    await expect(failed.text()).rejects.toThrow('broken')
    expect(await isFree(failing)).toBe(true)
  },
)

test.each(faces)(
  '%s: 1,000 clients that leave before, during and after leave no permit and no listener',
  async (_, face) => {
    let wait: Promise<void> = Promise.resolve()
    const fetch = face(
      probed(async () => {
        await wait
        return new Response(parts(['a', 'b']).body)
      }),
    )
    const requests: Request[] = []
    for (let i = 0; i < 1_000; i++) {
      const leave = new AbortController()
      const request = ask({}, { signal: leave.signal })
      requests.push(request)
      let go: () => void = () => {}
      if (i % 2 === 0)
        wait = new Promise((resolve) => {
          go = resolve
        })
      else wait = Promise.resolve()
      const answering = fetch(request)
      if (i % 4 === 0) leave.abort()
      go()
      const answer = await answering
      if (i % 4 === 1) leave.abort()
      if (i % 4 === 2) {
        await answer.text()
        leave.abort()
      }
      if (i % 4 === 3) await answer.body?.cancel()
    }
    expect(await isFree(fetch)).toBe(true)
    const listeners = requests.flatMap(({ signal }) => getEventListeners(signal, 'abort'))
    expect(listeners).toEqual([])
  },
)

/** Collects garbage until something is so; five seconds at most. */
async function collected(isSo: () => Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    if (await isSo()) return true
    collect()
    await pause(50)
  }
  return false
}

test.each(faces)(
  '%s: an answer that is dropped unread gives its permit back when it is collected',
  async (_, face) => {
    const fetch = face(probed(() => new Response('mine')))
    const drop = async (): Promise<void> => {
      await fetch(ask())
    }
    await drop()
    expect(await isFree(fetch)).toBe(false)
    expect(await collected(() => isFree(fetch))).toBe(true)
  },
)

test('check without apply: the permit ends with the request, left by its client or forgotten', async () => {
  const limiter = rateThrottle({ concurrent: 1, key: () => 'all' })
  const isFreeNow = async (): Promise<boolean> => {
    const { response, apply } = await limiter.check(ask())
    apply(new Response(null))
    return response === undefined
  }
  const leave = new AbortController()
  const request = ask({}, { signal: leave.signal })
  await limiter.check(request)
  expect(await isFreeNow()).toBe(false)
  leave.abort()
  expect(await isFreeNow()).toBe(true)
  const forget = async (): Promise<void> => {
    await limiter.check(ask())
  }
  await forget()
  expect(await isFreeNow()).toBe(false)
  expect(await collected(isFreeNow)).toBe(true)
})

test('several limiters: a refusal by the inner one gives back the permit of the outer one', async () => {
  const outer = rateThrottle({ concurrent: 1, key: () => 'all' })
  const inner = outer.limit({ limits: '1/hour' })
  const handler = outer.wrap(inner.wrap(() => new Response('mine')))
  const seen: number[] = []
  for (let i = 0; i < 4; i++) {
    const answer = await handler(ask())
    await answer.text()
    seen.push(answer.status)
  }
  expect(seen).toEqual([200, 429, 429, 429])
  const { response } = await outer.check(ask())
  expect(response).toBeUndefined()
})

test('a refusal for want of a permit tells to wait, and is admitted once one is free', async () => {
  const limiter = rateThrottle({ limits: '9/hour', concurrent: 1, headers: 'both' })
  const handler = limiter.wrap(() => new Response('mine'))
  const held = await handler(ask(), INFO)
  const refused = await handler(ask(), INFO)
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toBe('1')
  expect(refused.headers.get('ratelimit-policy')).toContain('qu="concurrent-requests"')
  await held.text()
  expect((await handler(ask(), INFO)).headers.get('x-ratelimit-remaining')).toBe('7')
})
