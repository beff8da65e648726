import { initTRPC, TRPCError } from '@trpc/server'
import { fetchRequestHandler } from '@trpc/server/adapters/fetch'
import { rateThrottle } from 'ratethrottle/web'

const limiter = rateThrottle({ limits: '100/hour' })

interface Context {
  readonly request: Request
  readonly info: unknown // what the runtime gives the handler
  readonly resHeaders: Headers
}

const t = initTRPC.context<Context>().create()

export const limited = t.procedure.use(async ({ ctx, next }) => {
  const { response, headers } = await limiter.check(ctx.request, ctx.info)
  for (const [name, value] of Object.entries(headers)) {
    ctx.resHeaders.set(name, value)
  }
  if (response !== undefined) throw new TRPCError({ code: 'TOO_MANY_REQUESTS' })
  return next()
})

let runs = 0
const router = t.router({ hello: limited.query(() => ({ runs: ++runs })) })

export function handler(request: Request, info: unknown): Promise<Response> {
  return fetchRequestHandler({
    endpoint: '/trpc',
    req: request,
    router,
    createContext: ({ resHeaders }) => ({ request, info, resHeaders }),
  })
}
