import Fastify, { type FastifyInstance } from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { afterEach, expect, test } from 'vitest'

const open: FastifyInstance[] = []
afterEach(() => Promise.all(open.splice(0).map((app) => app.close())))

function server(): FastifyInstance {
  const app = Fastify()
  open.push(app)
  return app
}

async function statuses(
  app: FastifyInstance,
  count: number,
  url: string,
  tenant = '',
): Promise<number[]> {
  const seen: number[] = []
  for (let i = 0; i < count; i++) {
    seen.push((await app.inject({ url, headers: { 'x-tenant': tenant } })).statusCode)
  }
  return seen
}

const byTenant = ({ headers }: { headers: object }): string =>
  String((headers as Record<string, unknown>)['x-tenant'])

test('app.rateThrottle() inherits the options of the nearest registration', async () => {
  const app = server()
  await app.register(rateThrottle, { headers: false })
  let hook: unknown
  await app.register(async (child) => {
    await child.register(rateThrottle, { key: byTenant, headers: 'draft', message: 'of the child' })
    child.get('/child', { preHandler: child.rateThrottle('1/hour') }, () => 'ok')
    await child.register(async (grandchild) => {
      hook = grandchild.rateThrottle
      grandchild.get('/grandchild', { preHandler: grandchild.rateThrottle('1/hour') }, () => 'ok')
    })
    expect(hook).toBe(child.rateThrottle)
  })
  app.get('/', { preHandler: app.rateThrottle('1/hour') }, () => 'ok')
  for (const url of ['/child', '/grandchild']) {
    expect(await statuses(app, 2, url, 'one')).toEqual([200, 429])
    const other = await app.inject({ url, headers: { 'x-tenant': 'two' } })
    expect([other.statusCode, 'ratelimit' in other.headers]).toEqual([200, true])
    const denied = await app.inject({ url, headers: { 'x-tenant': 'two' } })
    expect(denied.json().message).toBe('of the child')
  }
  expect(await statuses(app, 2, '/', 'one')).toEqual([200, 429])
  expect(await statuses(app, 1, '/', 'two')).toEqual([429])
})

test.each(['before its plugin', 'after its plugin'])(
  "a child's routes, declared %s, are charged by the child's key alone",
  async (when) => {
    const app = server()
    await app.register(rateThrottle, { limits: '2/hour' })
    app.get('/', () => 'ok')
    await app.register(async (child) => {
      const routes = () => {
        child.get('/own', { config: { rateLimit: '1/hour' } }, () => 'ok')
        child.get('/plain', () => 'ok')
        child.get('/none', { config: { rateLimit: false } }, () => 'ok')
      }
      if (when === 'before its plugin') routes()
      await child.register(rateThrottle, { limits: '3/hour', key: byTenant })
      if (when === 'after its plugin') routes()
    })
    for (const tenant of ['one', 'two', 'three']) {
      expect(await statuses(app, 2, '/own', tenant)).toEqual([200, 429])
      expect(await statuses(app, 4, '/plain', tenant)).toEqual([200, 200, 200, 429])
    }
    expect(await statuses(app, 5, '/none')).toEqual([200, 200, 200, 200, 200])
    expect(await statuses(app, 3, '/')).toEqual([200, 200, 429])
  },
)

test('a registration without limits leaves the outer limits to routes without limits', async () => {
  const app = server()
  await app.register(rateThrottle, { limits: '2/hour' })
  await app.register(async (child) => {
    await child.register(rateThrottle, { key: byTenant })
    child.get('/own', { config: { rateLimit: '1/hour' } }, () => 'ok')
    child.get('/plain', () => 'ok')
  })
  expect(await statuses(app, 2, '/own', 'one')).toEqual([200, 429])
  expect(await statuses(app, 2, '/own', 'two')).toEqual([200, 429])
  expect(await statuses(app, 2, '/plain', 'one')).toEqual([200, 200])
  expect(await statuses(app, 1, '/plain', 'two')).toEqual([429])
})

test('not-found answers of a child are charged by the child, those of the root by the root', async () => {
  const app = server()
  await app.register(rateThrottle, { limits: '1/hour' })
  await app.register(
    async (child) => {
      await child.register(rateThrottle, { limits: '2/hour' })
      child.setNotFoundHandler((_, reply) => void reply.code(404).send('none'))
    },
    { prefix: '/child' },
  )
  expect(await statuses(app, 3, '/child/no')).toEqual([404, 404, 429])
  expect(await statuses(app, 2, '/no')).toEqual([404, 429])
})

test('two registrations in one instance both limit, also within another', async () => {
  const app = server()
  await app.register(rateThrottle, { limits: '1/hour' })
  await app.register(async (child) => {
    await child.register(rateThrottle, { limits: '5/hour' })
    await child.register(rateThrottle, { limits: '2/hour' })
    child.get('/child', () => 'ok')
  })
  expect(await statuses(app, 4, '/child')).toEqual([200, 200, 429, 429])
})

/** The error that stopped the start, if one did. */
async function startOf(app: FastifyInstance): Promise<unknown> {
  try {
    await app.ready()
  } catch (error) {
    return error
  }
  return undefined
}

test.each(['the app', 'a request', 'a getter of a request', 'an app around it'])(
  'a decorator of another plugin on %s stops the start',
  async (where) => {
    const app = server()
    if (where === 'the app') app.decorate('rateThrottle', (() => {}) as never)
    else if (where === 'a request') app.decorateRequest('rateLimit', 7 as never)
    else if (where === 'a getter of a request') {
      app.decorateRequest('rateLimit', { getter: () => null })
    } else app.decorate('rateThrottle', 'something' as never)
    const plugin = async (child: FastifyInstance) => {
      await child.register(rateThrottle, { limits: '1/hour' })
    }
    if (where === 'an app around it') app.register(plugin)
    else app.register(rateThrottle, { limits: '1/hour' })
    app.get('/', () => 'ok')
    expect(await startOf(app)).toMatchObject({ code: 'DECORATOR_TAKEN' })
  },
)
