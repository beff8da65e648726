import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { afterEach } from 'vitest'
import { insightPage, type PageOptions } from '../../../dist/insight/page/index.js'
import { busyReport, FakeView } from './fake-view.ts'

const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Something that this test has to end. */
export function later(close: () => unknown): void {
  closers.push(close)
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Where a server listens. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  later(() => {
    if ('closeAllConnections' in server) (server.closeAllConnections as () => void)()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A page on a plain server, with figures in it. */
export async function servePage(
  options: PageOptions<IncomingMessage> = { authorize: () => true },
): Promise<{ readonly url: string; readonly view: FakeView; readonly server: Server }> {
  const view = new FakeView()
  view.figures = busyReport()
  const page = insightPage(view, options)
  const server = createServer(page)
  later(() => page.close())
  return { url: `${await listen(server)}/limits`, view, server }
}

/** One request, as it is written: nothing is normalized or followed. */
export function ask(
  url: string,
  { method = 'GET', headers = {}, body }: Sent = {},
): Promise<Reply> {
  const [, host = '', path = ''] = /^(http:\/\/[^/]+)(.*)$/.exec(url) ?? []
  return new Promise((resolve, reject) => {
    const call = request(host, { method, path, headers, agent: false }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => {
        text += chunk
      })
      const done = (): void => {
        resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text })
      }
      res.on('end', done).on('aborted', done)
    })
    call.on('error', reject)
    call.end(body)
  })
}

/** A response whose figures keep coming. */
export interface Stream {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** All that has come. */
  text(): string
  readonly ended: Promise<void>
  leave(): void
  /** Takes no more from its connection. */
  stall(): void
}

export function openStream(url: string, query = '?figures=live'): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const call = request(`${url}${query}`, { agent: false }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk: string) => {
        text += chunk
      })
      const ended = new Promise<void>((end) => {
        res.on('close', end)
      })
      const { statusCode: status = 0, headers } = res
      const leave = (): void => void call.destroy()
      const stall = (): void => void res.pause()
      res.on('error', () => undefined)
      resolve({ status, headers, text: () => text, ended, leave, stall })
    })
    call.on('error', reject)
    call.end()
  })
}

/** Waits until something holds. */
export async function until(holds: () => boolean, ms = 20_000): Promise<void> {
  const end = Date.now() + ms
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never: ${holds.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** The token of a page and its cookie, as the page's own code has them. */
export async function openSession(
  url: string,
): Promise<{ readonly cookie: string; readonly token: string }> {
  const { headers, body } = await ask(url)
  const cookie = headers['set-cookie']?.[0]?.split(';')[0] ?? ''
  return { cookie, token: /data-token="([^"]+)"/.exec(body)?.[1] ?? '' }
}
