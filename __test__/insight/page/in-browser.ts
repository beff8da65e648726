import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { afterAll, beforeAll, expect } from 'vitest'
import { insightPage, type PageOptions } from '../../../dist/insight/page/index.js'
import { Browser, type Tab } from './browser.ts'
import { busyReport, FakeView } from './fake-view.ts'
import { COLLECT_VIOLATIONS } from './in-page.ts'
import { later, listen } from './serve.ts'

let browser: Browser

/** One browser for all tests of a file. */
export function useBrowser(): void {
  beforeAll(() => {
    browser = Browser.start()
  })
  afterAll(() => browser.close())
}

/** A new tab without cookies, which shows an address. */
export async function visit(url: string): Promise<Tab> {
  const tab = await browser.open()
  later(() => tab.close())
  const source = { source: COLLECT_VIOLATIONS }
  await tab.send('Page.addScriptToEvaluateOnNewDocument', source)
  await tab.resize(1200, 900)
  await tab.visit(url)
  return tab
}

/** What the page says about its connection. */
export const STATE = "document.getElementById('link').innerText"
/** What it says about the change that was asked for last. */
export const SAID = "document.querySelector('#shields .said').innerText"
export const IS_LIVE = "document.getElementById('link')?.dataset.state === 'live'"

/** A page with figures of an attack, in a browser. */
export async function showBusy(
  options: PageOptions<IncomingMessage> = { authorize: () => true, block: true },
): Promise<{ readonly tab: Tab; readonly view: FakeView; readonly url: string }> {
  const view = new FakeView()
  view.figures = busyReport()
  const page = insightPage(view, options)
  later(() => page.close())
  const url = `${await listen(createServer(page as RequestListener))}/limits`
  const tab = await visit(url)
  await tab.until(`${IS_LIVE} && document.querySelector('#shields tbody tr') !== null`)
  return { tab, view, url }
}

/** What no page may do: an error, a refusal by its policy, a request to another origin. */
export async function isClean(tab: Tab, url: string): Promise<void> {
  expect(tab.errors).toEqual([])
  expect(await tab.evaluate('window.violations')).toEqual([])
  const { origin } = new URL(url)
  const others = tab.requests.filter(
    (one) => !one.startsWith(`${origin}/`) && !one.startsWith('data:'),
  )
  expect(others).toEqual([])
}
