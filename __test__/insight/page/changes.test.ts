import { request } from 'node:http'
import { describe, expect, it } from 'vitest'
import { ask, openSession, type Reply, servePage } from './serve.ts'

const PARDON = { action: 'pardon', source: '203.0.113.9' }

interface Change {
  readonly body?: unknown
  /** `undefined` leaves a header out. */
  readonly headers?: Readonly<Record<string, string | undefined>>
}

/** A page that may change all, and a POST as the page itself sends it but for what a test changes. */
async function open() {
  const served = await servePage({ authorize: () => true, block: true })
  const { cookie, token } = await openSession(served.url)
  const own = {
    cookie,
    'x-ratethrottle-token': token,
    'content-type': 'application/json',
    'sec-fetch-site': 'same-origin',
    origin: new URL(served.url).origin,
  }
  const post = ({ body = PARDON, headers = {} }: Change = {}): Promise<Reply> => {
    const all = Object.entries({ ...own, ...headers })
    const given = all.filter((entry): entry is [string, string] => entry[1] !== undefined)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return ask(served.url, { method: 'POST', headers: Object.fromEntries(given), body: text })
  }
  return { ...served, post, cookie, token }
}

it('the page itself may pardon and block', async () => {
  const { post, view } = await open()
  const done = await post()
  expect([done.status, JSON.parse(done.body)]).toEqual([200, { done: true }])
  const unknown = await post({ body: { action: 'pardon', source: ' 198.51.100.1 ' } })
  expect(JSON.parse(unknown.body)).toEqual({ done: false })
  await post({ body: { action: 'pardon', source: '2001:db8:1:2::/64' } })
  await post({ body: { action: 'block', source: '192.0.2.1', ms: 60_000 } })
  expect(view.calls).toEqual([
    'pardon 203.0.113.9',
    'pardon 198.51.100.1',
    'pardon 2001:db8:1:2::',
    'block 192.0.2.1 60000',
  ])
})

/** Requests that another site, or a program, could send. Each is refused before anything is changed. */
const FORGED: Readonly<Record<string, readonly [Change, number]>> = {
  'without a token': [{ headers: { 'x-ratethrottle-token': undefined } }, 403],
  'with a wrong token': [{ headers: { 'x-ratethrottle-token': 'A'.repeat(43) } }, 403],
  'with a short token': [{ headers: { 'x-ratethrottle-token': 'A' } }, 403],
  'with a token of a megabyte': [{ headers: { 'x-ratethrottle-token': 'A'.repeat(9_000) } }, 403],
  'without the cookie': [{ headers: { cookie: undefined } }, 403],
  'with an empty cookie': [{ headers: { cookie: 'ratethrottle-page=' } }, 403],
  'with a cookie of another name': [{ headers: { cookie: 'x-ratethrottle-page=a' } }, 403],
  'from another site': [{ headers: { 'sec-fetch-site': 'cross-site' } }, 403],
  'from a subdomain': [{ headers: { 'sec-fetch-site': 'same-site' } }, 403],
  'typed into the address bar': [{ headers: { 'sec-fetch-site': 'none' } }, 403],
  'with the origin of another site': [{ headers: { origin: 'https://evil.example' } }, 403],
  'with a null origin': [{ headers: { origin: 'null' } }, 403],
  'with an origin that only starts alike': [
    { headers: { origin: 'http://127.0.0.1.evil.example' } },
    403,
  ],
  'with an origin that hides its host': [
    { headers: { origin: 'http://127.0.0.1@evil.example' } },
    403,
  ],
  'without a word of where it comes from': [
    { headers: { origin: undefined, 'sec-fetch-site': undefined } },
    403,
  ],
  'as a form': [{ headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415],
  'as plain text': [{ headers: { 'content-type': 'text/plain' } }, 415],
  'without a type': [{ headers: { 'content-type': undefined } }, 415],
  'as text that names JSON': [{ headers: { 'content-type': 'text/plain; application/json' } }, 415],
}

describe('a change is refused', () => {
  it.each(Object.entries(FORGED))('%s', async (_name, [change, status]) => {
    const { post, view } = await open()
    const reply = await post(change)
    expect(reply.status).toBe(status)
    expect(JSON.parse(reply.body)).toHaveProperty('error')
    expect(view.calls).toEqual([])
  })

  it('with the token of another session', async () => {
    const { post, url, view } = await open()
    const other = await openSession(url)
    const reply = await post({ headers: { 'x-ratethrottle-token': other.token } })
    expect([reply.status, view.calls]).toEqual([403, []])
  })
})

const WRONG_BODIES: readonly unknown[] = [
  '',
  '{',
  'null',
  '[]',
  '"pardon"',
  '1e999',
  {},
  { action: 'pardon' },
  { action: 'PARDON', source: '192.0.2.1' },
  { action: 'reset', source: '192.0.2.1' },
  { action: 'pardon', source: '' },
  { action: 'pardon', source: 1 },
  { action: 'pardon', source: ['192.0.2.1'] },
  { action: 'pardon', source: { toString: '192.0.2.1' } },
  { action: 'pardon', source: 'a'.repeat(65) },
  { action: 'pardon', source: '192.0.2.1', ms: 1 },
  { action: 'pardon', source: '192.0.2.1', extra: 1 },
  { action: 'block', source: '192.0.2.1' },
  { action: 'block', source: '192.0.2.1', ms: 0 },
  { action: 'block', source: '192.0.2.1', ms: -1 },
  { action: 'block', source: '192.0.2.1', ms: 1.5 },
  { action: 'block', source: '192.0.2.1', ms: '60000' },
  { action: 'block', source: '192.0.2.1', ms: 86_400_001 },
  '{"__proto__":{"action":"pardon","source":"192.0.2.1"}}',
  '{"action":"pardon","source":"192.0.2.1","__proto__":1}',
  '['.repeat(1_000),
]

it.each(WRONG_BODIES)('a body of another shape changes nothing: %j', async (body) => {
  const { post, view } = await open()
  expect([(await post({ body })).status, view.calls]).toEqual([400, []])
})

it('what a shield does not take is refused without its words', async () => {
  const { post } = await open()
  const { status, body } = await post({ body: { action: 'pardon', source: 'nonsense' } })
  expect([status, body]).toEqual([422, '{"error":"no shield takes this: give an IP address"}\n'])
})

it('a body that is too large is refused by its length, before it is read', async () => {
  const { url, cookie, token, view } = await open()
  const headers = {
    cookie,
    'x-ratethrottle-token': token,
    'content-type': 'application/json',
    'sec-fetch-site': 'same-origin',
  }
  const status = await new Promise((resolve, reject) => {
    const length = { 'content-length': `${2 ** 40}` }
    const call = request(url, { method: 'POST', headers: { ...headers, ...length } }, (res) => {
      resolve([res.statusCode, res.headers.connection])
      call.destroy()
    })
    call.on('error', reject)
    call.write('{')
  })
  expect([status, view.calls]).toEqual([[413, 'close'], []])
})

it('a body without a length is cut off where it is too large', async () => {
  const { url, cookie, token } = await open()
  const headers = {
    cookie,
    'x-ratethrottle-token': token,
    'content-type': 'application/json',
    'sec-fetch-site': 'same-origin',
    'transfer-encoding': 'chunked',
  }
  let sent = 0
  const status = await new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', headers }, (res) => {
      resolve(res.statusCode)
      call.destroy()
    })
    call.on('error', (error) => (sent > 2_000 ? undefined : reject(error)))
    const more = (): void => {
      if (call.destroyed || sent > 2 ** 24) return
      sent += 1_000
      call.write(' '.repeat(1_000), () => setImmediate(more))
    }
    more()
  })
  expect(status).toBe(413)
})

it('a proxy that changes Host says so, and the page works behind it', async () => {
  const { post } = await open()
  const origin = 'https://status.example.com'
  const reply = await post({ headers: { origin, 'x-forwarded-host': 'status.example.com' } })
  expect(reply.status).toBe(200)
})

it('a browser without Sec-Fetch-Site is believed by its origin', async () => {
  const { post } = await open()
  expect((await post({ headers: { 'sec-fetch-site': undefined } })).status).toBe(200)
})

it('a session keeps its token over reloads, and a cookie that is none is replaced', async () => {
  const { url, cookie, token } = await open()
  const again = await ask(url, { headers: { cookie: `a=b; ${cookie}; c=d` } })
  expect(again.headers).not.toHaveProperty('set-cookie')
  expect(again.body).toContain(`data-token="${token}"`)
  const hostile = 'ratethrottle-page="><script>alert(1)</script>'
  const replaced = await ask(url, { headers: { cookie: hostile } })
  expect(replaced.body).not.toContain('alert(1)')
  expect(replaced.headers['set-cookie']?.[0]).toMatch(
    /^ratethrottle-page=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/,
  )
})
