import Fastify from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { expect, it } from 'vitest'

it('countWhen sees the outcome of an injected request', async () => {
  const app = Fastify()
  await app.register(rateThrottle, { limits: '1/hour', countWhen: 'failure' })
  app.get('/:status', (request, reply) =>
    reply.code(Number((request.params as { status: string }).status)).send('done'),
  )
  const seen: number[] = []
  for (const url of ['/200', '/200', '/404', '/200']) seen.push((await app.inject(url)).statusCode)
  expect(seen).toEqual([200, 200, 404, 429])
  await app.close()
})
