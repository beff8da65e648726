import { describe, expect, it } from 'vitest'
import { HOSTILE } from './fake-view.ts'
import { isClean, STATE, showBusy, useBrowser } from './in-browser.ts'
import { FOCUSED, LOW_CONTRAST, TOO_WIDE, tile } from './in-page.ts'

useBrowser()

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
