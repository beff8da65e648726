import { createRequire } from 'node:module'
import Fastify, { type FastifyInstance } from 'fastify'
import { rateThrottle as onExpress } from 'ratethrottle/express'
import onFastify from 'ratethrottle/fastify'
import { rateThrottle as onHono } from 'ratethrottle/hono'
import { rateThrottle as onNode } from 'ratethrottle/http'
import { describe, expect, test } from 'vitest'

type Options = Record<string, unknown>

/** Starts a server with these options: the error that stops it, or none. */
const STARTS: Record<string, (options: Options) => unknown> = {
  express: (options) => caught(() => onExpress(options)),
  'express, limit': (options) => caught(() => onExpress({}).limit(options as never)),
  hono: (options) => caught(() => onHono(options)),
  'hono, limit': (options) => caught(() => onHono({}).limit(options as never)),
  http: (options) => caught(() => onNode(options)),
  fastify: (options) => started((app) => app.register(onFastify, options)),
  'fastify, route': (options) =>
    started(async (app) => {
      await app.register(onFastify, {})
      app.get('/', { config: { rateLimit: options as never } }, () => 'ok')
    }),
  'fastify, hook': (options) =>
    started(async (app) => {
      await app.register(onFastify, {})
      app.rateThrottle(options as never)
    }),
}

function caught(make: () => { close(): unknown }): unknown {
  try {
    make().close()
  } catch (error) {
    return error
  }
  return undefined
}

async function started(build: (app: FastifyInstance) => PromiseLike<unknown>): Promise<unknown> {
  const app = Fastify()
  try {
    await build(app)
    await app.ready()
  } catch (error) {
    return error
  } finally {
    await app.close().catch(() => {})
  }
  return undefined
}

const WRONG: readonly (readonly [string, unknown])[] = [
  ['onError', 'opne'],
  ['onError', ''],
  ['onStoreError', 'x'],
  ['onStoreError', null],
  ['onStoreError', () => 'open'],
  ['deadlineMs', -5],
  ['deadlineMs', '50'],
  ['deadlineMs', 0.5],
  ['connectTimeoutMs', 0],
  ['connectTimeoutMs', 'soon'],
  ['lease', 5],
  ['lease', {}],
  ['lease', { size: 0 }],
  ['lease', { size: 5, ttl: 'x' }],
  ['lease', { size: 5, tll: 1000 }],
  ['localDenials', 'zz'],
  ['localDenials', null],
  ['keyPrefix', 5],
  ['keyPrefix', '{tenant}'],
  ['processes', 'x'],
  ['processes', 0],
  ['onStoreChange', 3],
]

describe.each(Object.entries(STARTS))('%s', (_name, start) => {
  test.each(['memory:', undefined])(
    'invalid options of a store stop the start, also with storage %s',
    async (storage) => {
      for (const [name, value] of WRONG) {
        const error = await start({ limits: '5/hour', storage, [name]: value })
        const what = `${name}: ${String(value)}`
        expect(error, what).toBeInstanceOf(Error)
        expect((error as Error).message, what).toMatch(name === 'lease' ? /lease|tll/ : name)
      }
      const both = await start({ limits: '5/hour', onError: () => {}, onStoreError: 'opne' })
      expect((both as Error | undefined)?.message).toContain('onStoreError')
    },
  )

  test('valid options of a store start also with counters in memory', async () => {
    const right = {
      limits: '5/hour',
      onStoreError: 'open',
      deadlineMs: 20,
      connectTimeoutMs: 100,
      lease: { size: 5, ttl: '1 second' },
      localDenials: '10 seconds',
      keyPrefix: 'mine:',
      processes: 2,
      onStoreChange: () => {},
    }
    expect(await start(right)).toBeUndefined()
    // The same, except for one letter.
    expect(await start({ ...right, onStoreError: 'opne' })).toBeInstanceOf(Error)
  })

  test('limits: undefined is an error, not the absence of limits', async () => {
    const env: { LIMITS?: string } = {}
    for (const more of [{}, { hook: 'preHandler' }, { onError: () => {} }]) {
      if ('hook' in more && _name !== 'fastify') continue
      const error = await start({ limits: env.LIMITS, ...more })
      expect(error).toMatchObject({ code: 'INVALID_OPTION' })
      expect((error as Error).message).toMatch(/(^|: )limits must be .*undefined$/)
    }
  })
})

test('checking options of a store does not load the Redis client', () => {
  const require = createRequire(`${process.cwd()}/`)
  const { rateThrottle } = require('ratethrottle/http') as typeof import('ratethrottle/http')
  let error: unknown
  try {
    rateThrottle({ limits: '5/hour', deadlineMs: -5 }).close()
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(RangeError)
  expect(
    Object.keys(require.cache).filter((path) => /ioredis|redis.connection/.test(path)),
  ).toEqual([])
})
