import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Controls, Figures } from '../types.ts'
import { answerNode } from './node.ts'
import type { PageOptions } from './options.ts'
import { Site } from './site.ts'
import { answerWeb } from './web.ts'

export type { PageOptions, PageQuestion } from './options.ts'

/**
 * The page, as middleware of Express and Connect and as a listener of `node:http`. It answers every request that
 * it is called for, but for those below its own path in Express.
 */
export interface InsightPage<Request = IncomingMessage> {
  (
    request: Request | IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
    next?: (error?: unknown) => void,
  ): void
  /**
   * For Fastify: `app.register(page.fastify, { prefix: '/limits' })`. `authorize` gets Fastify's request. `config` is
   * that of the page's route, such as `{ rateLimit: '300/minute' }`: the limits of the app count its requests too.
   */
  readonly fastify: (app: object, options?: PagePluginOptions) => Promise<void>
  /** For Hono: `app.mount('/limits', page.fetch)`. `authorize` gets the web's `Request`. */
  readonly fetch: (request: globalThis.Request) => Promise<Response>
  /** Ends the live pages. A server that closes ends its own. */
  readonly close: () => void
}

/** Options of {@link InsightPage.fastify}, besides `prefix`. */
export interface PagePluginOptions {
  readonly config?: object
}

/**
 * A page that shows a view, live.
 *
 * @param view what it shows and changes
 * @param options who may see it, and what they may change
 */
export function insightPage<Request = IncomingMessage>(
  view: Figures & Controls,
  options: PageOptions<Request> = {},
): InsightPage<Request> {
  const site = new Site<Request>(view, options)
  const answer = (request: object, response: object, subject: object): void => {
    const [asked, open] = [request as IncomingMessage, response as ServerResponse]
    answerNode(site, asked, open, subject as Request).catch(() => open.destroy())
  }
  const middleware: InsightPage<Request> = Object.assign(
    (request: unknown, response: object, next?: (error?: unknown) => void) => {
      if (next !== undefined && isBelow(request as object)) next()
      else answer(request as object, response, request as object)
    },
    {
      fastify: (app: object, { config = {} }: PagePluginOptions = {}) =>
        mount(app as PageHost, config, answer, () => site.close()),
      fetch: (request: globalThis.Request) => answerWeb(site as Site<unknown> as never, request),
      close: () => site.close(),
    },
  )
  return middleware
}

/** What the page needs of a Fastify instance. */
interface PageHost {
  removeAllContentTypeParsers(): unknown
  addContentTypeParser(
    type: string,
    parse: (request: unknown, payload: unknown, done: (error: null) => void) => void,
  ): unknown
  addHook(name: 'preClose', hook: (done: () => void) => void): unknown
  route(route: {
    method: string[]
    url: string
    config: object
    handler: (request: { raw: object }, reply: { raw: object; hijack(): void }) => void
  }): unknown
}

/** Whether Express asks for something below the path that the page is mounted at. */
function isBelow(request: { baseUrl?: unknown; url?: string }): boolean {
  const { baseUrl, url = '/' } = request
  return typeof baseUrl === 'string' && baseUrl !== '' && !/^\/?(?:\?|$)/.test(url)
}

async function mount(
  app: PageHost,
  config: object,
  answer: (request: object, response: object, subject: object) => void,
  close: () => void,
): Promise<void> {
  // The page reads its own bodies, with bounds of its own.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('preClose', (done) => {
    close()
    done()
  })
  const handler = (request: { raw: object }, reply: { raw: object; hijack(): void }): void => {
    reply.hijack()
    answer(request.raw, reply.raw, request)
  }
  app.route({ method: ['GET', 'HEAD', 'POST'], url: '/', config, handler })
}
