import { readFileSync } from 'node:fs'
import { getRequestListener } from '@hono/node-server'
import { expect, test, vi } from 'vitest'
import { listen } from '../http/serve.ts'

// The recipes of the guides, as a program has them. `npm run prove:recipes` runs them in Next.js and SvelteKit.

/** What Next.js says to go on, with the headers of the answer. */
vi.mock('next/server', () => ({
  NextResponse: {
    next: ({ headers }: { headers: Record<string, string> }) =>
      new Response('page', { headers: { 'x-middleware-next': '1', ...headers } }),
  },
}))

const URL = 'http://127.0.0.1/api/hello'

/** How many of 200 requests at once get 200 and 429, and whether all of them are told the limit. */
async function counted(ask: () => Promise<Response>): Promise<unknown> {
  const answers = await Promise.all(Array.from({ length: 200 }, ask))
  const withStatus = (status: number) => answers.filter((one) => one.status === status)
  const denied = withStatus(429)
  return {
    admitted: withStatus(200).length,
    denied: denied.length,
    told: answers.every(({ headers }) => headers.get('x-ratelimit-limit') === '100'),
    toWait: denied.every(({ headers }) => Number(headers.get('retry-after')) > 0),
  }
}

const RIGHT = { admitted: 100, denied: 100, told: true, toWait: true }

test('Next.js: proxy.ts', async () => {
  const { proxy } = await import('./next/proxy.ts')
  const ask = (from: string) => () =>
    proxy(new Request(URL, { headers: { 'x-forwarded-for': from } }) as never)
  expect(await counted(ask('192.0.2.1'))).toEqual(RIGHT)
  // What a client forges stands before what the proxy wrote.
  expect((await ask('203.0.113.5, 192.0.2.1')()).status).toBe(429)
  expect((await ask('203.0.113.5, 192.0.2.2')()).headers.get('x-middleware-next')).toBe('1')
})

test('SvelteKit: handle', async () => {
  const { handle } = await import('./sveltekit/hooks.server.ts')
  let runs = 0
  const ask = (address: string) => () =>
    handle({
      event: { request: new Request(URL), getClientAddress: () => address },
      resolve: async () => {
        runs++
        return new Response('page')
      },
    })
  expect(await counted(ask('192.0.2.1'))).toEqual(RIGHT)
  expect([runs, (await ask('192.0.2.2')()).status]).toEqual([100, 200])
})

test('tRPC: a middleware, on a real server', async () => {
  const { handler } = await import('./trpc.ts')
  const base = await listen(getRequestListener(handler))
  const bodies: unknown[] = []
  const answers = await counted(async () => {
    const answer = await fetch(`${base}/trpc/hello`)
    bodies.push(await answer.json())
    return answer
  })
  expect(answers).toEqual(RIGHT)
  const runs = bodies.map(
    (body) => (body as { result?: { data: { runs: number } } }).result?.data.runs ?? 0,
  )
  expect(Math.max(...runs)).toBe(100)
  expect(JSON.stringify(bodies)).toContain('"code":"TOO_MANY_REQUESTS"')
})

/** How Nitro, and so Nuxt, tells an ES module, by its text alone, comments and all: mlly's `hasESMSyntax`. */
const LOOKS_LIKE_ESM =
  /(?:[\s;]|^)(?:import[\s\w*,{}]*from|import\s*["'*{]|export\b\s*(?:[*{]|default|class|type|function|const|var|let|async function)|import\.meta\b)/m

test('Nitro takes no entry point for an ES module: it would bundle it, and fail at the addon', () => {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, { default?: string }>
  }
  const files = Object.values(exports).flatMap((entry) => entry.default ?? [])
  expect(files.length).toBeGreaterThan(15)
  expect(LOOKS_LIKE_ESM.test(' * export default { fetch }')).toBe(true)
  expect(files.filter((file) => LOOKS_LIKE_ESM.test(readFileSync(file, 'utf8')))).toEqual([])
})

test('the guides show the recipes as they are', () => {
  const pages = ['web', 'web-frameworks', 'next-and-bundlers'].map((name) =>
    readFileSync(`docs/guides/${name}.md`, 'utf8'),
  )
  const recipes = [
    'next/proxy.ts',
    'sveltekit/hooks.server.ts',
    'trpc.ts',
    'elysia/limits.ts',
    'h3/limits.ts',
    'nitro2/limits.ts',
    'react-router/app/limits.ts',
    'react-router/server/app.ts',
    'astro/middleware.ts',
  ]
  const missing = recipes.filter((name) => {
    const text = readFileSync(`__test__/recipes/${name}`, 'utf8')
    return !pages.some((page) => page.includes(text))
  })
  expect(missing).toEqual([])
})
