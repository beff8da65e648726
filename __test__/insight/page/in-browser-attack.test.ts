import { createServer } from 'node:http'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { describe, expect, it } from 'vitest'
import { busyReport, HOSTILE } from './fake-view.ts'
import { isClean, SAID, showBusy, useBrowser, visit } from './in-browser.ts'
import { later, listen } from './serve.ts'

useBrowser()

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

  it('and so are those that a real limiter was asked with', async () => {
    const view = insight({ keys: 'plain' })
    later(() => view.close())
    const limiter = new RateLimiter('1/minute', { name: HOSTILE.markup, insight: view })
    later(() => limiter.close())
    const names = [
      ...Object.values(HOSTILE),
      '\ud800',
      'a\nb\u0000c',
      '"><svg onload=window.stolen=1>',
      '',
    ]
    for (const name of names) for (let i = 0; i < 3; i++) limiter.check(`key:${name}`)
    const url = await listen(createServer(view.page({ authorize: () => true })))
    const tab = await visit(url)
    await tab.until("document.querySelectorAll('#top-denied tbody tr').length >= 10")
    const shown = await tab.evaluate<string[]>(
      "[...document.querySelectorAll('#top-denied tbody bdi.key')].map((one) => one.textContent)",
    )
    // The longest has lost its end: 64 characters are kept of each.
    expect(shown).toContain(`key:${HOSTILE.script}`)
    expect(shown).toContain(`key:${HOSTILE.rightToLeft}`)
    expect(shown).toContain('key:"><svg onload=window.stolen=1>')
    expect(Math.max(...shown.map((text) => [...text].length))).toBeLessThanOrEqual(64)
    expect(await tab.evaluate('typeof window.stolen')).toBe('undefined')
    expect(await tab.evaluate("document.querySelectorAll('main img, main script').length")).toBe(0)
    await isClean(tab, url)
  })

  it('keys that look alike have a row each', async () => {
    const { tab, view } = await showBusy()
    const counts = [30, 20, 10]
    const asked = counts.map((count) => ({ key: '203.0.113.xxx', limit: 'api', count, error: 0 }))
    view.figures = { ...view.figures, top: { asked, denied: [] } }
    const rows = "[...document.querySelectorAll('#top-asked tbody tr')].map((one) => one.innerText)"
    await tab.until(`${rows}.length === 3`)
    const texts = await tab.evaluate<string[]>(rows)
    expect(texts.map((text) => Number(/\d+$/.exec(text.trim())?.[0]))).toEqual(counts)
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
