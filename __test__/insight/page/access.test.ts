import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import type { PageOptions } from '../../../dist/insight/page/index.js'
import { warnings } from '../../fixtures/warned.ts'
import { ask, openSession, openStream, servePage } from './serve.ts'

const warned = warnings()
const SECRETS = /api|203\.0\.113|data-token|Rate limits|limits/

/** Everything that can be asked of a page. */
const REQUESTS = [
  ['the page', '', 'GET'],
  ['its head', '', 'HEAD'],
  ['figures', '?figures=once', 'GET'],
  ['live figures', '?figures=live', 'GET'],
  ['figures that there are not', '?figures=x', 'GET'],
  ['a change', '', 'POST'],
  ['its methods', '', 'OPTIONS'],
  ['another method', '', 'DELETE'],
] as const

/** Everything that an authorize can do instead of saying true. */
const REFUSALS: Readonly<Record<string, PageOptions<IncomingMessage>['authorize']>> = {
  'says false': () => false,
  'promises false': async () => false,
  'says nothing': (() => undefined) as never,
  'says 1': (() => 1) as never,
  'says "true"': (() => 'true') as never,
  'gives an object': (() => ({ admin: true })) as never,
  'promises 1': (async () => 1) as never,
  throws: () => {
    throw new Error('the session store at redis://:hunter2@10.0.0.1 is away')
  },
  'throws undefined': () => {
    throw undefined
  },
  rejects: () => Promise.reject(new Error('hunter2')),
  hangs: () => new Promise(() => undefined),
  'gives a thenable that throws': (() => ({
    // biome-ignore lint/suspicious/noThenProperty: such a value is what is tested
    then: () => {
      throw new Error('hunter2')
    },
  })) as never,
}

describe.each(Object.entries(REFUSALS))('an authorize that %s', (_name, authorize) => {
  it.each(REQUESTS)('refuses %s with 404, and tells nothing', async (_what, query, method) => {
    const { url, view } = await servePage({ authorize, deadlineMs: 30 })
    const { status, headers, body } = await ask(`${url}${query}`, { method })
    expect(status).toBe(404)
    expect(body).toBe(method === 'HEAD' ? '' : 'Not found\n')
    expect(JSON.stringify(headers)).not.toMatch(SECRETS)
    expect(headers).not.toHaveProperty('set-cookie')
    expect([view.reports, view.calls]).toEqual([0, []])
  })

  it('refuses with 401 where there is a challenge', async () => {
    const challenge = 'Basic realm="figures"'
    const { url } = await servePage({ authorize, deadlineMs: 30, challenge })
    const { status, headers, body } = await ask(url)
    expect([status, headers['www-authenticate'], body]).toEqual([
      401,
      challenge,
      'Not authorized\n',
    ])
  })
})

it('warns once of an authorize that fails, without what it threw', async () => {
  const before = warned.all.length
  const { url } = await servePage({
    authorize: () => {
      throw new Error('hunter2')
    },
  })
  await ask(url)
  await ask(url)
  await new Promise((resolve) => setImmediate(resolve))
  const told = warned.all.slice(before)
  expect(told.map(({ code }) => code)).toEqual(['RATETHROTTLE_PAGE_AUTHORIZE'])
  expect(told[0]?.message).toBe(
    "option authorize of the insight's page threw or rejected; the request was refused",
  )
})

it('warns of an authorize that returns no boolean, and not of one that returns nothing', async () => {
  const before = warned.all.length
  const quiet = await servePage({ authorize: (() => undefined) as never })
  await ask(quiet.url)
  const { url } = await servePage({ authorize: (() => ({ admin: true })) as never })
  await ask(url)
  await new Promise((resolve) => setImmediate(resolve))
  expect(warned.all.slice(before).map(({ message }) => message)).toEqual([
    "option authorize of the insight's page returned something else than true or false; the request was refused",
  ])
})

it('without authorize all are refused, and a warning says why at start', async () => {
  const { url } = await servePage({})
  const [first] = await warned.of('RATETHROTTLE_PAGE_UNGUARDED')
  expect(first?.message).toContain('authorize: (request) =>')
  for (const [, query, method] of REQUESTS) {
    expect((await ask(`${url}${query}`, { method })).status).toBe(404)
  }
})

it('asks authorize about each request, with the request itself', async () => {
  const seen: string[] = []
  const { url } = await servePage({
    authorize: async (request) => {
      seen.push(`${request.method} ${request.url}`)
      return request.headers.authorization === 'Bearer right'
    },
  })
  const right = { authorization: 'Bearer right' }
  expect((await ask(url, { headers: right })).status).toBe(200)
  expect((await ask(`${url}?figures=once`, { headers: right })).status).toBe(200)
  expect((await ask(`${url}?figures=once`)).status).toBe(404)
  expect(seen).toEqual(['GET /limits', 'GET /limits?figures=once', 'GET /limits?figures=once'])
})

it('an authorize that needs most of its time is waited for', async () => {
  const slow = (): Promise<boolean> => new Promise((resolve) => setTimeout(resolve, 80, true))
  const { url } = await servePage({ authorize: slow })
  expect((await ask(url)).status).toBe(200)
})

it('an authorize that answers after its deadline changes nothing, and neither does its rejection', async () => {
  const gates: ((error: Error) => void)[] = []
  const { url } = await servePage({
    authorize: () => new Promise((_resolve, reject) => gates.push(reject)),
    deadlineMs: 20,
  })
  expect((await ask(url)).status).toBe(404)
  gates[0]?.(new Error('late'))
  expect((await ask(url)).status).toBe(404)
})

it('a client that leaves while authorize decides gets nothing and keeps nothing open', async () => {
  let decide = (_is: boolean): void => undefined
  const { url, view } = await servePage({
    authorize: () =>
      new Promise((resolve) => {
        decide = resolve
      }),
  })
  const gone = new AbortController()
  const asked = fetch(`${url}?figures=live`, { signal: gone.signal }).catch(() => 'left')
  await new Promise((resolve) => setTimeout(resolve, 50))
  gone.abort()
  expect(await asked).toBe('left')
  await new Promise((resolve) => setTimeout(resolve, 50))
  decide(true)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(view.reports).toBe(0)
})

it('those who may see the page may be others than those who may change', async () => {
  const isAdmin = (request: IncomingMessage): boolean => request.headers['x-role'] === 'admin'
  const { url, view } = await servePage({ authorize: () => true, pardon: isAdmin })
  expect((await ask(url)).body).toContain('data-pardon="false" data-block="false"')
  const page = await ask(url, { headers: { 'x-role': 'admin' } })
  expect(page.body).toContain('data-pardon="true" data-block="false"')
  const { cookie, token } = await openSession(url)
  const headers = {
    cookie,
    'x-ratethrottle-token': token,
    'content-type': 'application/json',
    'sec-fetch-site': 'same-origin',
  }
  const body = JSON.stringify({ action: 'pardon', source: '203.0.113.9' })
  expect((await ask(url, { method: 'POST', headers, body })).status).toBe(403)
  expect(view.calls).toEqual([])
  const asAdmin = { ...headers, 'x-role': 'admin' }
  expect((await ask(url, { method: 'POST', headers: asAdmin, body })).status).toBe(200)
  expect(view.calls).toEqual(['pardon 203.0.113.9'])
})

it('live figures are for those who may see the page only', async () => {
  const { url, view } = await servePage({
    authorize: (request) => request.headers['x-key'] === '1',
  })
  const { status, ended } = await openStream(url)
  await ended
  expect([status, view.reports]).toEqual([404, 0])
})
