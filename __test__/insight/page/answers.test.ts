import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { insightPage } from '../../../dist/insight/page/index.js'
import { FakeView } from './fake-view.ts'
import { ask, openSession, openStream, servePage } from './serve.ts'

const ALWAYS = {
  'cache-control': 'no-store, no-transform',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
}

it('the page is one small file that names no other address', async () => {
  const { url } = await servePage()
  const { body } = await ask(url)
  expect(gzipSync(body).length).toBeLessThan(60 * 1024)
  const addresses = body.match(/https?:\/\/[^\s"'`)%]+/g) ?? []
  // The namespace of drawings is a name, not an address that is asked.
  expect(addresses.filter((one) => one !== 'http://www.w3.org/2000/svg')).toEqual([])
  expect(body).not.toMatch(/<(?:link|script|img|iframe)[^>]+(?:src|href)="(?!data:)/)
  expect(body).not.toMatch(
    /\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function)/,
  )
  expect(body).not.toMatch(/^\s*(?:import|export)\b/m)
})

it('allows its own script and style by a nonce that no other answer has', async () => {
  const { url } = await servePage()
  const nonces = new Set<string>()
  for (let i = 0; i < 20; i++) {
    const { headers, body } = await ask(url)
    const policy = `${headers['content-security-policy']}`
    const [, nonce = ''] = /script-src 'nonce-([\w+/=]{24})'/.exec(policy) ?? []
    nonces.add(nonce)
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain(`style-src 'nonce-${nonce}'`)
    expect(policy).toContain("frame-ancestors 'none'")
    expect(policy).not.toMatch(/unsafe|\*/)
    expect(body.match(/<(?:script|style)\b[^>]*>/g)).toEqual([
      `<style nonce="${nonce}">`,
      `<script nonce="${nonce}">`,
    ])
  }
  expect(nonces.size).toBe(20)
})

it.each([
  ['the page', '', 'GET', 200],
  ['figures', '?figures=once', 'GET', 200],
  ['unknown figures', '?figures=../../etc/passwd', 'GET', 400],
  ['a POST without anything', '', 'POST', 403],
  ['another method', '', 'PUT', 405],
  ['OPTIONS', '', 'OPTIONS', 405],
])(
  '%s has all protecting headers and lets no other site read it',
  async (_what, query, method, status) => {
    const { url } = await servePage()
    const reply = await ask(`${url}${query}`, {
      method,
      headers: { origin: 'https://evil.example' },
    })
    expect(reply.status).toBe(status)
    expect(reply.headers).toMatchObject(ALWAYS)
    expect(reply.headers['content-security-policy']).toMatch(/^default-src 'none'/)
    expect(Object.keys(reply.headers).filter((name) => name.startsWith('access-control'))).toEqual(
      [],
    )
  },
)

it('HEAD has the head of GET and no body, also of live figures', async () => {
  const { url, view } = await servePage()
  const [get, head] = [await ask(url), await ask(url, { method: 'HEAD' })]
  expect([head.status, head.body]).toEqual([200, ''])
  expect(head.headers['content-length']).toBe(get.headers['content-length'])
  const live = await ask(`${url}?figures=live`, { method: 'HEAD' })
  expect([live.status, live.body, view.reports]).toEqual([200, '', 0])
})

it.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'])(
  '%s is answered with the methods that there are',
  async (method) => {
    const { url, view } = await servePage()
    const { status, headers } = await ask(url, { method })
    expect([status, headers.allow]).toEqual([405, 'GET, HEAD, POST'])
    expect(view.calls).toEqual([])
  },
)

it('no GET changes anything, whatever it says about its method', async () => {
  const { url, view } = await servePage({ authorize: () => true, block: true })
  const { cookie, token } = await openSession(url)
  const headers = {
    cookie,
    'x-ratethrottle-token': token,
    'x-http-method-override': 'POST',
    'x-method-override': 'POST',
    'content-type': 'application/json',
    'sec-fetch-site': 'same-origin',
  }
  const body = JSON.stringify({ action: 'pardon', source: '203.0.113.9' })
  for (const query of ['', '?_method=POST', '?action=pardon&source=203.0.113.9']) {
    for (const method of ['GET', 'HEAD', 'PUT', 'M-SEARCH']) {
      const { status } = await ask(`${url}${query}`, { method, headers, body })
      expect([200, 400, 405]).toContain(status)
    }
  }
  expect(view.calls).toEqual([])
})

it.each([
  '/limits/../../../../etc/passwd',
  '/limits/%2e%2e/%2e%2e/etc/passwd',
  '/..%5c..%5cwindows',
  '//evil.example/limits',
  '/limits/client/main.js',
  `/limits?figures=once&range=${'x'.repeat(5_000)}`,
  '/limits?figures=once&range=__proto__',
  '/limits?figures=once&figures=live&range=%00',
  '/limits?figures=%ff%fe',
])('a path leads to no file and to no error: %s', async (path) => {
  const { url } = await servePage()
  const { status, body } = await ask(`${url.replace('/limits', '')}${path}`)
  expect([200, 400]).toContain(status)
  expect(body).not.toMatch(/root:|exports\.|at .*\.js:/)
})

it('figures are for the page itself, not for a page of another site', async () => {
  const { url } = await servePage()
  for (const site of ['cross-site', 'same-site']) {
    const headers = { 'sec-fetch-site': site }
    expect((await ask(`${url}?figures=once`, { headers })).status).toBe(403)
    expect((await ask(`${url}?figures=live`, { headers })).status).toBe(403)
    // A link from a chat leads to the page.
    expect((await ask(url, { headers })).status).toBe(200)
  }
})

it('a title is text', async () => {
  const title = '<img src=x onerror=alert(1)>"\'&'
  const { url } = await servePage({ authorize: () => true, title })
  const { body } = await ask(url)
  expect(body).not.toContain('<img')
  expect(body).toContain('<h1>&#60;img src=x onerror=alert(1)&#62;&#34;&#39;&#38;</h1>')
})

it.each([
  [{ authorise: () => true }, /unknown option "authorise"/],
  [{ authorize: true }, /authorize must be a function, got true/],
  [{ deadlineMs: 0 }, /deadlineMs must be an integer from 1 to 60000, got 0/],
  [{ maxStreams: 0 }, /maxStreams must be an integer from 1 to 10000, got 0/],
  [{ pardon: 'yes' }, /pardon must be true, false or a function, got "yes"/],
  [{ block: 1 }, /block must be true, false or a function, got 1/],
  [{ title: '' }, /title must be a string of 1 to 100 characters/],
  [{ challenge: 'Basic\r\nset-cookie: a=b' }, /challenge must be printable ASCII characters/],
  [null, /options must be an object, got null/],
])('refuses wrong options by name: %o', (options, message) => {
  expect(() => insightPage(new FakeView(), options as never)).toThrow(message)
  expect(() => insightPage(new FakeView(), options as never)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION' }),
  )
})

it('a view that throws is a 500 without what it threw, and a live page stays alive', async () => {
  const { url, view } = await servePage()
  view.report = () => {
    throw new Error('the insight at /srv/secret is closed')
  }
  const { status, body } = await ask(`${url}?figures=once`)
  expect([status, body]).toEqual([500, 'The figures cannot be read\n'])
  const stream = await openStream(url)
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(stream.text()).toBe('retry: 2000\n\n: alive\n\n')
  stream.leave()
})

it('an answer to half a request does not come, and ends with its connection', async () => {
  const { url } = await servePage()
  const { port } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.write('POST /limits HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n')
  await new Promise((resolve) => setTimeout(resolve, 20))
  socket.destroy()
  expect((await ask(url)).status).toBe(200)
})
