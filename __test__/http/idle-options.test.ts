import Fastify from 'fastify'
import { defineConfig } from 'ratethrottle/config'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { plugin } from 'ratethrottle/graphql'
import { interceptor } from 'ratethrottle/grpc'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { rateThrottle as forKoa } from 'ratethrottle/koa'
import { rateThrottle as forWeb } from 'ratethrottle/web'
import { socketLimits } from 'ratethrottle/websocket'
import { describe, expect, it } from 'vitest'

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any

/** Each makes a limiter, and closes it. */
const MAKERS: Record<string, (options: Any) => unknown> = {
  Express: (options) => forExpress(options).close(),
  Fastify: async (options) => {
    const app = Fastify()
    app.register(forFastify, options)
    app.get('/', { config: { rateLimit: { limits: '5/minute', burst: 2 } } }, () => '')
    await app.ready()
    await app.close()
  },
  Hono: (options) => forHono(options).close(),
  Koa: (options) => forKoa(options).close(),
  'node:http': (options) => forHttp(options).close(),
  web: (options) => forWeb(options).close(),
  'a file': (options) => forExpress({ config: defineConfig(options) }).close(),
  'a limiter of a file': (options) =>
    forExpress({
      config: defineConfig({ limiters: { a: options }, routes: { '*': 'a' } }),
    }).close(),
}

/** About limits, in the order in which they are looked at. */
const IDLE: readonly (readonly [name: string, value: unknown])[] = [
  ['burst', 3],
  ['policy', 'mine'],
  ['blockFor', '1 minute'],
  ['cost', 2],
  ['slowDown', '1 second'],
  ['algorithm', 'leaky-bucket'],
  ['countWhen', 'failure'],
  ['outcomeTimeoutMs', 500],
]

const among = (...names: string[]) => IDLE.filter(([name]) => names.includes(name))

const made = async (name: string, options: object): Promise<unknown> =>
  (MAKERS[name] as (options: object) => unknown)(options)

describe.each(Object.keys(MAKERS))('%s', (name) => {
  // Others have routes that may have limits, and take over what is said of them.
  const idle = name === 'a limiter of a file' ? IDLE : among('burst', 'policy')

  it('an option about limits is refused where there are only permits', async () => {
    for (const [option, value] of IDLE) {
      const says = `${option} must be given together with limits, or left out`
      const permits = made(name, { concurrent: 1, [option]: value })
      if (idle.some(([refused]) => refused === option)) await expect(permits).rejects.toThrow(says)
      else await permits
      const { outcomeTimeoutMs: _, ...rest } = { [option]: value } as Any
      await made(name, { limits: '9/hour', concurrent: 1, ...rest })
    }
    const outcomeTimeoutMs = 500
    const says = 'outcomeTimeoutMs must be given together with countWhen, or left out'
    await expect(made(name, { limits: '9/hour', outcomeTimeoutMs })).rejects.toThrow(says)
    await made(name, { limits: '9/hour', outcomeTimeoutMs, countWhen: 'failure' })
  })
})

it('a route that has permits alone has no use for what is about limits', () => {
  const base = forExpress({ concurrent: 4, algorithm: 'sliding-log', blockFor: '1 minute' })
  base.limit('5/minute')
  for (const [option, value] of IDLE) {
    const says = `${option} must be given together with limits, or left out`
    expect(() => base.limit({ concurrent: 1, [option]: value } as Any)).toThrow(says)
  }
  base.close()
})

it('what a limiter without limits is for, is what its routes have', () => {
  const base = forExpress({ blockFor: '1 minute', countWhen: 'failure', outcomeTimeoutMs: 500 })
  base.limit('5/minute')
  base.limit({ limits: '5/minute', outcomeTimeoutMs: 400 })
  const permits = (): unknown => base.limit({ concurrent: 1, burst: 3 })
  expect(permits).toThrow('burst must be given together with limits')
  expect(() => forExpress({ burst: 3 })).toThrow('burst must be given together with limits')
  expect(() => forExpress({ policy: 'a', concurrent: false })).toThrow('policy must be given')
  base.close()
})

it('what stands at the top of a file is for those of its limiters that have limits', () => {
  const config = defineConfig({
    algorithm: 'sliding-window',
    blockFor: '1 minute',
    outcomeTimeoutMs: 500,
    limiters: { a: { limits: '9/hour', countWhen: 'failure' }, b: { concurrent: 2 } },
    routes: { '/a': 'a', '*': 'b' },
  })
  forExpress({ config, cost: 2 }).close()
})

it('as it is for calls, connections and messages', () => {
  const other = { '/a.B/C': '5/minute' } as const
  interceptor({ concurrent: 1, burst: 3, messages: '5/minute' }).close()
  interceptor({ concurrent: 1, blockFor: '2 minutes', methods: other }).close()
  plugin({ limits: '5/minute', maxCost: 9, burst: 3 }).close()
  for (const [option, value] of among('burst', 'blockFor', 'algorithm')) {
    const says = `${option} must be given together with limits, or left out`
    expect(() => plugin({ maxCost: 9, [option]: value })).toThrow(says)
  }
  for (const [option, value] of among('burst', 'policy', 'blockFor', 'algorithm')) {
    const says = `${option} must be given together with connections`
    expect(() => socketLimits({ concurrent: 1, [option]: value })).toThrow(says)
    socketLimits({ connections: '5/minute', [option]: value }).close()
  }
})
