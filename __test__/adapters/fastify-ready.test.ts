import { createServer } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import rateThrottle from 'ratethrottle/fastify'
import { expect, onTestFinished, test } from 'vitest'
import { serverForTest } from '../redis/server.ts'
import { SlowWire } from '../redis/slow-wire.ts'

const CONNECT_MS = 300

function server(): FastifyInstance {
  const app = Fastify()
  onTestFinished(() => app.close())
  return app
}

/** How many of some requests at once were admitted. */
async function admitted(app: FastifyInstance, count: number, url = '/'): Promise<number> {
  const answers = await Promise.all(Array.from({ length: count }, () => app.inject(url)))
  return answers.filter(({ statusCode }) => statusCode === 200).length
}

test('the Fastify plugin waits for Redis while it loads, so that several servers admit the limit', async () => {
  const redis = await serverForTest()
  const wire = await SlowWire.before(redis.port)
  wire.connectMs = CONNECT_MS
  let sum = 0
  for (let i = 0; i < 3; i++) {
    const app = server()
    const start = performance.now()
    await app.register(rateThrottle, { limits: '5/hour', storage: wire.url, deadlineMs: 1_000 })
    // A little less: timers may fire early by a part of a millisecond.
    expect(performance.now() - start).toBeGreaterThan(CONNECT_MS - 5)
    app.get('/', () => 'ok')
    app.get('/own', { config: { rateLimit: '7/hour' } }, () => 'ok')
    await app.ready()
    sum += await admitted(app, 5)
    await app.close()
  }
  expect(sum).toBe(5)
})

test('the plugin waits for the stores of its routes too, if its own limits have none', async () => {
  const redis = await serverForTest()
  const wire = await SlowWire.before(redis.port)
  wire.connectMs = CONNECT_MS
  let sum = 0
  for (let i = 0; i < 2; i++) {
    const app = server()
    await app.register(rateThrottle, { storage: wire.url, deadlineMs: 1_000 })
    app.get('/', { config: { rateLimit: '4/hour' } }, () => 'ok')
    const start = performance.now()
    await app.ready()
    expect(performance.now() - start).toBeGreaterThan(CONNECT_MS / 2)
    sum += await admitted(app, 4)
    await app.close()
  }
  expect(sum).toBe(4)
})

test('without a Redis that answers the server starts, and ready() reports it', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  onTestFinished(() => void silent.close())
  await new Promise((resolve) => silent.once('listening', resolve))
  const { port } = silent.address() as { port: number }
  const app = Fastify({ pluginTimeout: 1_000 })
  onTestFinished(() => app.close())
  const storage = `redis://127.0.0.1:${port}/0`
  // The default of connectTimeoutMs is longer than Fastify lets a plugin take here.
  const started = app.register(rateThrottle, { limits: '2/hour', storage }).ready()
  const outcome = await Promise.resolve(started).then(
    () => 'started',
    (error: Error) => error.message,
  )
  expect(outcome).toBe('started')
  const { ready } = app.rateThrottle as unknown as { ready?: () => Promise<unknown> }
  expect(await ready?.()).toMatchObject({ available: false })
})
