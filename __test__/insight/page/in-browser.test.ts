import { request as ask, createServer } from 'node:http'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { describe, expect, it } from 'vitest'
import { insightPage } from '../../../dist/insight/page/index.js'
import type { Tab } from './browser.ts'
import { busyReport, FakeView, HOSTILE } from './fake-view.ts'
import { IS_LIVE, showBusy, useBrowser, visit } from './in-browser.ts'
import { FOCUSED, LOW_CONTRAST, TOO_WIDE, tile } from './in-page.ts'
import { later, listen, openStream } from './serve.ts'

useBrowser()

const STATE = "document.getElementById('link').innerText"
const SAID = "document.querySelector('#shields .said').innerText"

/** What no page may do: an error, a refusal by its policy, a request to another origin. */
async function isClean(tab: Tab, url: string): Promise<void> {
  expect(tab.errors).toEqual([])
  expect(await tab.evaluate('window.violations')).toEqual([])
  const { origin } = new URL(url)
  const others = tab.requests.filter(
    (one) => !one.startsWith(`${origin}/`) && !one.startsWith('data:'),
  )
  expect(others).toEqual([])
}

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

describe('under attack', () => {
  it('hostile keys and names are text', async () => {
    const { tab, url } = await showBusy()
    const names = await tab.evaluate<string[]>(
      "[...document.querySelectorAll('#top-denied tbody bdi.key')].map((one) => one.textContent)",
    )
    expect(new Set(names)).toEqual(new Set(Object.values(HOSTILE)))
    expect(
      await tab.evaluate("document.querySelectorAll('main img, main script, main iframe').length"),
    ).toBe(0)
    expect(await tab.evaluate('typeof window.stolen')).toBe('undefined')
    const limits = await tab.evaluate<string>("document.querySelector('#limits').innerText")
    expect(limits).toContain(HOSTILE.markup)
    // Choosing it in the chart makes nothing else of it.
    await tab.evaluate("[...document.querySelectorAll('#limits button')].at(-1).click()")
    const chosen = "document.querySelector('#chart-limit').selectedOptions[0].textContent"
    expect(await tab.evaluate(chosen)).toBe(HOSTILE.markup)
    await isClean(tab, url)
  })

  it('a name that turns the text around turns nothing but itself', async () => {
    const { tab } = await showBusy()
    const places = await tab.evaluate<number[]>(`(() => {
      const name = [...document.querySelectorAll('#top-denied bdi')]
        .find((one) => one.textContent.includes('\\u202e'))
      const tag = name.nextElementSibling
      return [name.getBoundingClientRect().right, tag.getBoundingClientRect().left]
    })()`)
    expect(places[1]).toBeGreaterThanOrEqual((places[0] ?? 0) - 1)
    const tagged = await tab.evaluate<string[]>(
      "[...document.querySelectorAll('#top-denied .tag')].map((one) => one.title).sort()",
    )
    expect(tagged).toEqual(['U+200B U+200D', 'U+202E U+2066'])
  })

  it('its policy stops what an injected markup would do', async () => {
    const { tab } = await showBusy()
    // The checkers above can fail: each of these is seen by them.
    await tab.evaluate(`(() => {
      const image = document.createElement('img')
      image.src = 'https://evil.example/x.png'
      const script = document.createElement('script')
      try { script.text = 'window.stolen = 1' } catch {}
      document.body.append(image, script)
      try { document.body.innerHTML += '<b>x</b>' } catch { window.isRefused = true }
      fetch('https://evil.example/').catch(() => undefined)
    })()`)
    await tab.until('window.violations.length >= 3')
    const violations = await tab.evaluate<string[]>('window.violations')
    expect(violations.join('\n')).toMatch(/img-src https:\/\/evil.example/)
    expect(violations.join('\n')).toMatch(/connect-src https:\/\/evil.example/)
    expect(await tab.evaluate('[typeof window.stolen, window.isRefused]')).toEqual([
      'undefined',
      true,
    ])
  })

  it('says first what an operator has to know', async () => {
    const { tab, view } = await showBusy()
    const notices = "[...document.querySelectorAll('.notice')].map((one) => one.textContent).join()"
    await tab.until(`/store of 1 of 2/.test(${notices}) && /under pressure/.test(${notices})`)
    expect(await tab.evaluate(notices)).toContain('The last reload of the configuration failed')
    const report = busyReport()
    view.figures = { ...report, stores: [], shields: [], config: undefined }
    await tab.until("document.querySelectorAll('.notice').length === 0")
  })

  it('pardons a blocked source with its button, which keeps the focus', async () => {
    const { tab, view, url } = await showBusy()
    const moved = 'Pardon 2001:db8:1:2::/64'
    const button = `document.querySelector('[aria-label="${moved}"]')`
    await tab.evaluate(`${button}.focus()`)
    const { shields } = view.figures
    const [first] = shields
    // Its row goes up, and the focus with it.
    view.figures = {
      ...view.figures,
      shields: [{ ...first, top: [...(first?.top ?? [])].reverse() }],
    } as never
    const names =
      "[...document.querySelectorAll('#shields tbody th')].map((one) => one.textContent)"
    await tab.until(`${names}[0] === '2001:db8:1:2::/64'`)
    expect(await tab.evaluate(`document.activeElement === ${button}`)).toBe(true)
    await tab.press('Enter', 'Enter', '\r')
    await tab.until(`${SAID} === '2001:db8:1:2::/64 is pardoned.'`)
    await tab.evaluate(`document.querySelector('[aria-label="Pardon 203.0.113.9"]').click()`)
    await tab.until(`${SAID} === '203.0.113.9 is pardoned.'`)
    expect(view.calls).toEqual(['pardon 2001:db8:1:2::', 'pardon 203.0.113.9'])
    await isClean(tab, url)
  })

  it('pardons and blocks an address that is typed, and says what was refused', async () => {
    const { tab, view } = await showBusy()
    const submit = async (id: string, value: string): Promise<void> => {
      await tab.evaluate(`(() => {
        const field = document.getElementById('${id}-address')
        field.value = '${value}'
        field.form.requestSubmit()
      })()`)
    }
    await submit('block', '198.51.100.77')
    await tab.until(`${SAID} === '198.51.100.77 is blocked.'`)
    await submit('pardon', '198.51.100.1')
    await tab.until(`${SAID} === 'No shield has 198.51.100.1 as blocked.'`)
    await submit('pardon', 'nonsense')
    await tab.until(`${SAID} === 'Refused: no shield takes this: give an IP address.'`)
    expect(view.calls).toEqual([
      'block 198.51.100.77 600000',
      'pardon 198.51.100.1',
      'pardon nonsense',
    ])
  })

  it('another site in the same browser can neither change, read nor frame anything', async () => {
    const { url, view, tab } = await showBusy()
    const other = await listen(
      createServer((_request, response) => {
        response.setHeader('content-type', 'text/html')
        response.end(`<iframe name="frame" src="${url}"></iframe>`)
      }),
    )
    // The same browser context, and so the same cookies: 127.0.0.1 and localhost are two sites.
    await tab.visit(other.replace('127.0.0.1', 'localhost'))
    await tab.until("document.querySelector('iframe') !== null")
    const tried = await tab.evaluate<string[]>(`(async () => {
      const url = '${url}'
      const body = JSON.stringify({ action: 'pardon', source: '203.0.113.9' })
      const all = { method: 'POST', credentials: 'include', body }
      const said = (call) => call.then((answer) => answer.type + ' ' + answer.status, () => 'refused')
      return [
        await said(fetch(url, { ...all, mode: 'no-cors' })),
        await said(fetch(url, { ...all, headers: { 'content-type': 'application/json' } })),
        await said(fetch(url + '?figures=once', { credentials: 'include' })),
        await said(fetch(url, { credentials: 'include' })),
      ]
    })()`)
    expect(tried).toEqual(['refused', 'refused', 'refused', 'refused'])
    expect(view.calls).toEqual([])
    expect(tab.errors.join('\n')).toMatch(/frame-ancestors|refused to connect|X-Frame-Options/i)
  })
})

describe('what it is like to use', () => {
  it.each(['light', 'dark'] as const)(
    'all text has the contrast of WCAG AA in %s',
    async (scheme) => {
      const { tab } = await showBusy()
      await tab.scheme(scheme)
      await tab.evaluate("document.querySelector('#over-time details').open = true")
      await tab.until("document.querySelectorAll('#over-time tbody tr').length > 5")
      const { count, found } = await tab.evaluate<{ count: number; found: string[] }>(LOW_CONTRAST)
      expect(count).toBeGreaterThan(120)
      expect(found).toEqual([])
      // It can fail.
      await tab.evaluate(`(() => {
      const sheet = new CSSStyleSheet()
      sheet.replaceSync(':root { --soft: #8a8f98 !important }')
      document.adoptedStyleSheets = [sheet]
    })()`)
      const worse = await tab.evaluate<{ found: string[] }>(LOW_CONTRAST)
      if (scheme === 'light') expect(worse.found.length).toBeGreaterThan(10)
    },
  )

  it.each([360, 320, 641, 1200])('nothing is wider than a window of %i px', async (width) => {
    const { tab } = await showBusy()
    await tab.resize(width, 740)
    await tab.evaluate("document.querySelector('#over-time details').open = true")
    await tab.evaluate('new Promise((resolve) => setTimeout(resolve, 200))')
    expect(await tab.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    expect(await tab.evaluate(TOO_WIDE)).toEqual([])
  })

  it('the keyboard reaches all controls in their order, and shows where it is', async () => {
    const { tab } = await showBusy()
    const names: string[] = []
    for (let i = 0; i < 14; i++) {
      await tab.press('Tab')
      const { tag, name, isSeen } = await tab.evaluate<{
        tag: string
        name: string
        isSeen: boolean
      }>(FOCUSED)
      expect([name, isSeen]).toEqual([name, true])
      names.push(`${tag} ${name}`)
    }
    expect(names).toEqual([
      'a Skip to the figures',
      'input 10 min',
      'button Pause',
      'select Limit shown',
      'summary Show as a table',
      'button api',
      'button login',
      `button ${HOSTILE.markup}`,
      'button Pardon 203.0.113.9',
      'button Pardon 2001:db8:1:2::/64',
      'input Pardon an address',
      'button Pardon',
      'input Block an address',
      'select How long to block it',
    ])
  })

  it('screen readers get names for all that can be used, and captions for all tables', async () => {
    const { tab } = await showBusy()
    const { nodes } = (await tab.send('Accessibility.getFullAXTree')) as {
      nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[]
    }
    const named = nodes
      .filter(({ ignored }) => !ignored)
      .map(({ role, name }) => [role?.value ?? '', name?.value ?? ''] as const)
    const used = [
      'button',
      'combobox',
      'textbox',
      'radio',
      'table',
      'image',
      'heading',
      'link',
      'region',
    ]
    expect(named.filter(([role, name]) => used.includes(role) && name === '')).toEqual([])
    const of = (role: string): string[] =>
      named.filter(([one]) => one === role).map(([, name]) => name)
    expect(of('table')).toContain(
      'What each limit did in the time shown, and which of its counts binds',
    )
    expect(of('table')).toHaveLength(7)
    expect(
      of('image').filter((name) => /^Column chart of all limits: [\d,]+ admitted/.test(name)),
    ).toHaveLength(1)
    expect(of('radio')).toEqual(['10 min', '24 h', '30 days'])
    expect(of('heading').slice(0, 3)).toEqual([
      'Rate limits',
      'Admitted and denied over time',
      'Limits',
    ])
    expect(of('columnheader').length).toBeGreaterThan(20)
    // On a phone rows look like cards, and are rows of a table still.
    await tab.resize(360, 740)
    const phone = (await tab.send('Accessibility.getFullAXTree')) as { nodes: typeof nodes }
    const roles = phone.nodes.filter(({ ignored }) => !ignored).map(({ role }) => role?.value)
    expect(roles.filter((role) => role === 'table')).toHaveLength(7)
    expect(roles.filter((role) => role === 'rowheader').length).toBeGreaterThan(15)
  })

  it('tells a screen reader the sums, and not every second', async () => {
    const { tab, view } = await showBusy()
    const summary = "document.getElementById('summary').textContent"
    const said = await tab.evaluate<string>(summary)
    expect(said).toBe('182,340 admitted and 20,455 denied in the last 10 minutes, 10.1% denied.')
    view.figures = { ...view.figures, totals: { ...view.figures.totals, denied: 90_000 } }
    await tab.until(`${tile('Denied')} === 90000`)
    expect(await tab.evaluate(summary)).toBe(said)
  })

  it('moves nothing for those who want no motion', async () => {
    const { tab } = await showBusy()
    const moving = await tab.evaluate<number>(`document.getAnimations().length +
      [...document.querySelectorAll('*')].filter((one) => {
        const { transitionDuration, animationName } = getComputedStyle(one)
        return transitionDuration !== '0s' || animationName !== 'none'
      }).length`)
    expect(moving).toBe(0)
  })

  it('shows another range, and one limit alone', async () => {
    const { tab, url } = await showBusy()
    await tab.evaluate('document.querySelector(\'input[value="30d"]\').click()')
    await tab.until("document.querySelector('.reading').textContent === 'Requests per 6 hours'")
    const chart = "document.getElementById('chart-says').textContent"
    const all = await tab.evaluate<string>(chart)
    await tab.evaluate("document.querySelectorAll('#limits button')[1].click()")
    await tab.until(`/^Column chart of login/.test(${chart})`)
    expect(await tab.evaluate(chart)).not.toBe(all)
    expect(tab.requests.some((one) => one.includes('figures=live&range=30d'))).toBe(true)
    await isClean(tab, url)
  })

  it('says what stands below the pointer', async () => {
    const { tab } = await showBusy()
    const { left, top, width } = await tab.evaluate<Record<'left' | 'top' | 'width', number>>(
      "document.querySelector('.chart').getBoundingClientRect().toJSON()",
    )
    const at = { type: 'mouseMoved', x: left + width / 2, y: top + 40 }
    await tab.send('Input.dispatchMouseEvent', at)
    const reading = "document.querySelector('.reading').textContent"
    const words = /^\d\d:\d\d:\d\d, 5 seconds: \d+ admitted, \d+ denied$/
    await tab.until(`${words}.test(${reading})`)
    await tab.send('Input.dispatchMouseEvent', { ...at, y: 5 })
    await tab.until(`${reading} === 'Requests per 5 seconds'`)
  })

  it('pauses', async () => {
    const { tab, view } = await showBusy()
    await tab.evaluate("document.getElementById('pause').click()")
    await tab.until(`${STATE}.includes('Paused')`)
    view.figures = { ...view.figures, processes: 77 }
    await tab.evaluate('new Promise((resolve) => setTimeout(resolve, 1500))')
    expect(await tab.evaluate(tile('Processes'))).toBe(4)
    await tab.evaluate("document.getElementById('pause').click()")
    await tab.until(`${tile('Processes')} === 77`)
  })
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
