import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

/*
 * A headless Chromium, driven over the DevTools protocol: through two pipes, so that no port is opened and no
 * package is needed.
 */

const { CHROMIUM = 'chromium' } = process.env
const FLAGS = [
  '--headless=new',
  '--remote-debugging-pipe',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-extensions',
  '--disable-sync',
  '--mute-audio',
  '--no-first-run',
  '--force-prefers-reduced-motion',
]
/** A command that is not answered has failed. */
const COMMAND_MS = 20_000

type Params = Readonly<Record<string, unknown>>
type Listener = (method: string, params: Record<string, unknown>) => void

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

interface Waiting {
  resolve(result: Record<string, unknown>): void
  reject(error: Error): void
}

export class Browser {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #waiting = new Map<number, Waiting>()
  readonly #listeners = new Map<string, Listener>()
  #id = 0
  #rest = ''

  private constructor(process: ChildProcess, folder: string) {
    this.#process = process
    this.#folder = folder
    const output = process.stdio[4] as Readable
    output.setEncoding('utf8')
    output.on('data', (text: string) => this.#read(text))
    process.once('error', (error) =>
      this.#fail(new Error(`${CHROMIUM} is needed: ${error.message}`)),
    )
    process.once('exit', () => this.#fail(new Error('the browser has ended')))
  }

  static start(): Browser {
    const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-browser-'))
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] as const
    const env = { ...process.env, HOME: folder }
    const flags = [...FLAGS, `--user-data-dir=${folder}`, 'about:blank']
    return new Browser(spawn(CHROMIUM, flags, { stdio: [...stdio], env }), folder)
  }

  async open(): Promise<Tab> {
    const { browserContextId } = await this.send('Target.createBrowserContext')
    const params = { url: 'about:blank', browserContextId }
    const { targetId } = await this.send('Target.createTarget', params)
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true })
    const tab = new Tab(this, sessionId as string, browserContextId as string)
    this.#listeners.set(tab.session, tab.listener)
    await tab.prepare()
    return tab
  }

  send(method: string, params: Params = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), COMMAND_MS)
      const finish = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(id)
      }
      this.#waiting.set(id, {
        resolve: (result) => {
          finish()
          resolve(result)
        },
        reject: (error) => {
          finish()
          reject(error)
        },
      })
      const input = this.#process.stdio[3] as Writable
      input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    })
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
  }

  #read(text: string): void {
    const parts = (this.#rest + text).split('\0')
    this.#rest = parts.pop() ?? ''
    for (const part of parts) this.#take(JSON.parse(part) as Message)
  }

  #take({ id, sessionId = '', method, params = {}, result = {}, error }: Message): void {
    if (id === undefined) {
      if (method !== undefined) this.#listeners.get(sessionId)?.(method, params)
      return
    }
    const waiting = this.#waiting.get(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error.message))
  }
}

/** One page, with a context of its own: no cookie of another test. */
export class Tab {
  readonly session: string
  /** Every request that the page has made. */
  readonly requests: string[] = []
  /** Everything that went wrong: uncaught errors, and what the console shows as an error. */
  readonly errors: string[] = []
  readonly #browser: Browser

  readonly #context: string

  constructor(browser: Browser, session: string, context: string) {
    this.#browser = browser
    this.session = session
    this.#context = context
  }

  readonly listener: Listener = (method, params) => {
    const { request, exceptionDetails, entry } = params as {
      readonly request?: { readonly url: string }
      readonly exceptionDetails?: unknown
      readonly entry?: { readonly level: string; readonly text: string }
    }
    if (method === 'Network.requestWillBeSent') this.requests.push(request?.url ?? '')
    if (method === 'Runtime.exceptionThrown') this.errors.push(JSON.stringify(exceptionDetails))
    if (entry?.level === 'error') this.errors.push(entry.text)
  }

  async prepare(): Promise<void> {
    const domains = ['Page', 'Runtime', 'Network', 'Log', 'Accessibility']
    for (const domain of domains) await this.send(`${domain}.enable`)
  }

  send(method: string, params: Params = {}): Promise<Record<string, unknown>> {
    return this.#browser.send(method, params, this.session)
  }

  async visit(url: string): Promise<void> {
    await this.send('Page.navigate', { url })
  }

  /** Ends the page with its context. */
  async close(): Promise<void> {
    await this.#browser.send('Target.disposeBrowserContext', { browserContextId: this.#context })
  }

  /** What an expression gives, by value. The protocol runs it beside the page's own policy. */
  async evaluate<T>(expression: string): Promise<T> {
    const params = { expression, returnByValue: true, awaitPromise: true }
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', params)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { value: T }).value
  }

  /** Waits until an expression is true. */
  async until(expression: string, ms = 15_000): Promise<void> {
    const end = Date.now() + ms
    while (Date.now() < end) {
      const isTrue = await this.evaluate<boolean>(`Boolean(${expression})`).catch(() => false)
      if (isTrue) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const text = await this.evaluate<string>('document.body.innerText').catch(() => '')
    throw new Error(`never true: ${expression}\n${text.slice(0, 2_000)}`)
  }

  async resize(width: number, height: number): Promise<void> {
    const params = { width, height, deviceScaleFactor: 1, mobile: width < 500 }
    await this.send('Emulation.setDeviceMetricsOverride', params)
  }

  async scheme(value: 'light' | 'dark'): Promise<void> {
    const features = [{ name: 'prefers-color-scheme', value }]
    await this.send('Emulation.setEmulatedMedia', { features })
  }

  async press(key: string, code = key, text?: string): Promise<void> {
    const windowsVirtualKeyCode = { Tab: 9, Enter: 13, ' ': 32, ArrowRight: 39 }[key]
    const params = { key, code, windowsVirtualKeyCode, text }
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...params })
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...params })
  }

  /** @param clip a part of the page, which may be higher than what is legible at once */
  async screenshot(file: string, clip?: Params): Promise<void> {
    const params = { format: 'png', captureBeyondViewport: true, clip }
    const { data } = await this.send('Page.captureScreenshot', params)
    writeFileSync(file, Buffer.from(data as string, 'base64'))
  }
}
