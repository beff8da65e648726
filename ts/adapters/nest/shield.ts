import type { HttpAdapterHost } from '@nestjs/core'
import type { RequestHandler } from 'express'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { sendRefusal } from '../../http/response.ts'
import type { Engine } from './engine.ts'
import { platformOf } from './requests.ts'

/** Puts the shield before all that the platform serves, 404s included, and has it remember what guards are not told. */
export function standBefore(host: HttpAdapterHost, engine: Engine): void {
  const platform = platformOf(host)
  if (platform === 'fastify') beforeFastify(host.httpAdapter.getInstance(), engine)
  const { shield, own } = engine.limiters
  if (platform !== 'express' || shield?.isOn !== true) return
  const { adapter } = engine
  const middleware: RequestHandler = (request, response, next) => {
    const answer = (refusal: Parameters<typeof sendRefusal>[2]): void =>
      sendRefusal(adapter, response, refusal)
    shield.stand(request, response, next, answer, next, () => own?.limiter)
  }
  host.httpAdapter.use(middleware)
}

function beforeFastify(app: FastifyInstance, { limiters, adapter, calls }: Engine): void {
  const { shield, own } = limiters
  app.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, next: () => void) => {
    // A resolver of GraphQL is given the request alone.
    calls.noteReply(request, reply)
    if (shield?.isOn !== true) {
      next()
      return
    }
    const answer = (refusal: Parameters<typeof sendRefusal>[2]): void =>
      sendRefusal(adapter, reply, refusal)
    shield.stand(request, reply, next, answer, next, () => own?.limiter)
  })
}
