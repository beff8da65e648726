import Fastify from 'fastify'
import plugin, {
  byIp,
  byUser,
  firstOf,
  RateLimitExceeded,
  rateThrottle,
} from 'ratethrottle/fastify'

const isDenial = (error: unknown): error is RateLimitExceeded => error instanceof RateLimitExceeded

async function main(): Promise<void> {
  const app = Fastify()
  await app.register(plugin, {
    limits: '100/minute',
    key: firstOf(
      byUser(() => undefined),
      byIp(),
    ),
  })
  app.setErrorHandler((error, _request, reply) =>
    reply.code(isDenial(error) ? error.statusCode : 500).send(),
  )
  app.get('/', { config: { rateLimit: '2/minute' } }, () => 'served')
  // Not `inject`: in Jest's CommonJS mode Fastify cannot load what that needs.
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const get = async (): Promise<number> => (await fetch(address)).status
  const statuses = [await get(), await get(), await get()]
  if (plugin === rateThrottle) console.log(statuses.join(' '))
  await app.close()
}

void main()
