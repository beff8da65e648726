import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { rateThrottle } from 'ratethrottle/web'
import type { Built, Options, Plan, Run } from './frameworks.ts'

/** What the handlers of the plan take, beside the request. */
interface Bindings {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}

type Handler = (request: Request, info: Bindings) => Response | Promise<Response>

const WITHOUT_BODY: readonly unknown[] = [204, 304]

function handlerOf(run: Run): Handler {
  return async (_request, { incoming, outgoing }) => {
    const { status = 200, headers = {}, body = '' } = (await run(incoming, outgoing)) ?? {}
    if (typeof body === 'object') return Response.json(body, { status, headers })
    return new Response(WITHOUT_BODY.includes(status) ? null : String(body), { status, headers })
  }
}

/** A site of web handlers on Node. */
export function buildWeb(
  { options, routes, fallback, beside }: Plan,
  limitsOf: (route: Plan['routes'][number]) => readonly Options[],
  isForAll: boolean,
): Built {
  const limiter = rateThrottle<never>(options)
  const opened = beside === undefined ? [] : [rateThrottle<never>(beside)]
  const table = routes.map((route) => {
    const handler = limitsOf(route).reduceRight<Handler>(
      (inner, more) => limiter.limit(more).wrap(inner),
      handlerOf(route.run),
    )
    return { path: route.path, method: route.method ?? 'GET', handler }
  })
  const otherwise =
    fallback === undefined ? () => new Response('none', { status: 404 }) : handlerOf(fallback)
  let main: Handler = (request, info) => {
    const { pathname } = new URL(request.url)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const found = table.find((route) => route.path === pathname && route.method === method)
    return (found?.handler ?? otherwise)(request, info)
  }
  for (const one of opened) main = one.wrap(main)
  if (isForAll) main = limiter.wrap(main)
  const listener = getRequestListener(main as never)
  return {
    server: createServer(listener),
    close: () => {
      for (const one of [limiter, ...opened]) one.close()
    },
  }
}
