import { request as ask, createServer } from 'node:http'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { describe, expect, it } from 'vitest'
import { insightPage } from '../../../dist/insight/page/index.js'
import { busyReport, FakeView } from './fake-view.ts'
import { IS_LIVE, isClean, SAID, STATE, useBrowser, visit } from './in-browser.ts'
import { tile } from './in-page.ts'
import { later, listen, openStream } from './serve.ts'

useBrowser()

it('shows a limiter that begins to be asked, and its figures move', async () => {
  const view = insight({ keys: 'plain' })
  later(() => view.close())
  const page = view.page({ authorize: () => true })
  const url = await listen(createServer(page))
  const tab = await visit(url)
  await tab.until(IS_LIVE)
  expect(await tab.evaluate('document.body.innerText')).toContain('No request has been limited yet')
  const limiter = new RateLimiter('5/minute', { name: 'live-page', insight: view })
  later(() => limiter.close())
  for (let i = 0; i < 8; i++) limiter.check('user:42')
  await tab.until(`${tile('Admitted')} === 5 && ${tile('Denied')} === 3`)
  for (let i = 0; i < 4; i++) limiter.check('user:42')
  await tab.until(`${tile('Denied')} === 7`)
  const text = await tab.evaluate<string>('document.body.innerText')
  expect(text).toContain('live-page')
  expect(text).toContain('5/minute')
  expect(text).toContain('user:42')
  expect(text).not.toContain('No request has been limited yet')
  expect(await tab.evaluate("document.querySelector('.denied-bars[d]').getAttribute('d')")).toMatch(
    /^M/,
  )
  await isClean(tab, url)
})

describe('what may happen to its connection', () => {
  it('asks every five seconds where it may not be live', async () => {
    const view = new FakeView()
    view.figures = busyReport()
    const page = insightPage(view, { authorize: () => true, maxStreams: 1 })
    later(() => page.close())
    const url = await listen(createServer(page))
    const first = await openStream(url)
    const tab = await visit(url)
    await tab.until(`${STATE}.includes('Every 5 seconds') && ${tile('Processes')} === 4`)
    first.leave()
    view.figures = { ...view.figures, processes: 5 }
    await tab.until(`${tile('Processes')} === 5`)
  })

  it('says so when those who look may do so no longer', async () => {
    let isAdmin = true
    const view = new FakeView()
    const page = insightPage(view, { authorize: () => isAdmin })
    later(() => page.close())
    const server = createServer(page)
    const tab = await visit(await listen(server))
    await tab.until(IS_LIVE)
    isAdmin = false
    server.closeAllConnections()
    await tab.until(`${STATE}.includes('No longer authorized')`, 30_000)
  })

  it('says so when its server is away, and goes on when it is back', async () => {
    const view = new FakeView()
    const page = insightPage(view, { authorize: () => true })
    later(() => page.close())
    let isAway = false
    const server = createServer((request, response) => {
      if (isAway) response.destroy()
      else page(request, response)
    })
    const tab = await visit(await listen(server))
    await tab.until(IS_LIVE)
    isAway = true
    server.closeAllConnections()
    await tab.until(`${STATE}.includes('No answer')`, 30_000)
    isAway = false
    await tab.until(IS_LIVE, 30_000)
  })

  it('works behind a proxy with a prefix, and keeps the query that it was opened with', async () => {
    const view = new FakeView()
    view.figures = busyReport()
    const page = insightPage(view, {
      authorize: ({ url = '' }) => new URL(url, 'http://x').searchParams.get('key') === 'a b&c',
    })
    later(() => page.close())
    const inner = new URL(await listen(createServer(page)))
    const outer = createServer((request, response) => {
      const path = `/${(request.url ?? '').replace('/ops/team%20a/limits', '')}`
      const { method, headers } = request
      const call = ask({ port: inner.port, host: '127.0.0.1', path, method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers)
        answer.pipe(response)
      })
      call.on('error', () => response.destroy())
      response.on('close', () => call.destroy())
      request.pipe(call)
    })
    const url = `${await listen(outer)}/ops/team%20a/limits?key=a%20b%26c#top-denied`
    const tab = await visit(url)
    await tab.until(`${IS_LIVE} && ${tile('Processes')} === 4`)
    await tab.evaluate(`document.querySelector('[aria-label="Pardon 203.0.113.9"]').click()`)
    await tab.until(`${SAID} === '203.0.113.9 is pardoned.'`)
    await isClean(tab, url)
  })
})
