import { inspect } from 'node:util'
import Fastify from 'fastify'
import {
  ConcurrencyLimiter,
  createConcurrencyLimiter,
  createLimiter,
  RateLimiter,
} from 'ratethrottle'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { RedisLimiter, RedisStorage } from 'ratethrottle/redis'
import { StoreLimiter } from 'ratethrottle/remote'
import { expect, it, onTestFinished, vi } from 'vitest'

const SECRET = 'hunter2'
const URL = `redis://ada:${SECRET}@127.0.0.1:1/0`
const OPTIONS = { limits: '1/second', storage: URL, onStoreChange: () => {} } as const

class SecretStore {
  readonly password = SECRET
  async get(): Promise<undefined> {}
  async compareAndSet(): Promise<boolean> {
    return true
  }
}

/** Everything that a program is handed and may log. */
const OBJECTS: Readonly<Record<string, () => unknown>> = {
  RateLimiter: () => new RateLimiter('1/second'),
  RedisLimiter: () => new RedisLimiter('1/second', { storage: URL, onStoreChange: () => {} }),
  'the storage of a RedisLimiter': () =>
    new RedisLimiter('1/second', { storage: URL, onStoreChange: () => {} }).storage,
  RedisStorage: () => new RedisStorage(URL),
  'createLimiter with a Redis URL': () => createLimiter(OPTIONS),
  'createLimiter with a store': () =>
    createLimiter({ limits: '1/second', storage: new SecretStore() }),
  'createConcurrencyLimiter with a Redis URL': () =>
    createConcurrencyLimiter({ perKey: 1, storage: URL, onStoreChange: () => {} }),
  'createConcurrencyLimiter with a store': () =>
    createConcurrencyLimiter({ perKey: 1, storage: new SecretStore() }),
  ConcurrencyLimiter: () => new ConcurrencyLimiter(1),
  StoreLimiter: () => new StoreLimiter('1/second', new SecretStore()),
  'the middleware of Express': () => forExpress(OPTIONS),
  'the middleware of Hono': () => forHono(OPTIONS),
  'the limiter of node:http': () => forHttp(OPTIONS),
}

/** As a logger prints it, with all that it holds. */
function printed(value: unknown): string {
  let json = ''
  try {
    json = String(JSON.stringify(value))
  } catch {
    // A circle prints nothing.
  }
  return `${json}\n${inspect(value, { depth: Number.POSITIVE_INFINITY, maxArrayLength: null })}`
}

it.each(Object.keys(OBJECTS))('logging %s prints no password and no address', (name) => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const object = OBJECTS[name]?.() as { close?: () => unknown }
  onTestFinished(async () => {
    await object.close?.()
  })
  const text = printed(object)
  expect(text).not.toContain(SECRET)
  expect(text).not.toContain('127.0.0.1')
})

it('logging a Fastify app and a request prints no password', async () => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const app = Fastify()
  onTestFinished(() => app.close())
  await app.register(forFastify, { ...OPTIONS, connectTimeoutMs: 50 })
  const texts: string[] = []
  app.get('/', (request) => {
    texts.push(printed(request.rateLimit), printed(app.rateThrottle))
    return 'ok'
  })
  expect((await app.inject('/')).statusCode).toBe(200)
  expect(texts.join()).not.toContain(SECRET)
})
