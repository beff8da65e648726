import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Controller, Get, type INestApplication, Inject, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { Redis } from 'ioredis'
import { Limit, RateThrottleModule, RateThrottleService, UseRateThrottle } from 'ratethrottle/nest'
import { FakeClock } from 'ratethrottle/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { ROOT } from '../../fixtures/child.ts'
import { byLength } from '../../fixtures/long.ts'
import { serverForTest } from '../../redis/server.ts'
import { closeAll, decorate, makeCats, PLATFORMS, start, statuses } from './apps.ts'

afterEach(closeAll)

describe.each(PLATFORMS)('%s', (platform) => {
  it('applications of one module, one after the other, share nothing', async () => {
    const { CatsController, runs } = makeCats()
    const imports = [RateThrottleModule.forRoot({ limits: '3/hour' })]
    // Twenty on one platform are enough where time is short.
    const apps = platform === 'express' ? 20 : byLength(3, 20)
    for (let i = 1; i <= apps; i++) {
      const { app, url } = await start(platform, { imports, controllers: [CatsController] })
      expect(await statuses(`${url}/cats/search`, 3)).toEqual([200, 200, 429])
      expect(await statuses(`${url}/cats`, 3)).toEqual([200, 429, 429])
      await app.close()
      expect(runs).toMatchObject({ find: i, search: 2 * i })
    }
  })

  it('two applications at the same time share nothing, unless their storage is one', async () => {
    const { CatsController } = makeCats()
    const name = `nest-${process.pid}-${platform}`
    for (const [storage, expected] of [
      ['memory:', [200, 200, 429]],
      [`shared:${name}`, [200, 429, 429]],
    ] as const) {
      const all = await Promise.all(
        [1, 2].map(() => {
          const imports = [RateThrottleModule.forRoot({ limits: '3/hour', storage })]
          return start(platform, { imports, controllers: [CatsController] })
        }),
      )
      expect(await statuses(`${all[0]?.url}/cats`, 2)).toEqual([200, 200])
      const second = await statuses(`${all[1]?.url}/cats`, 3)
      expect(second).toEqual(storage === 'memory:' ? [200, 200, 200] : expected)
    }
  })
})

it('a second import in one application stops its start', async () => {
  const imports = [
    RateThrottleModule.forRoot({ limits: '1/hour' }),
    RateThrottleModule.forRoot({ limits: '2/hour' }),
  ]
  await expect(start('express', { imports })).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})

it('wrong options stop the start, and say where they stand', async () => {
  const bad = RateThrottleModule.forRoot({ limits: '1/hour', trsut: 'x' } as object)
  await expect(start('express', { imports: [bad] })).rejects.toThrow(/trsut/)
  expect(() => Limit('ten' as '1/hour')).toThrow(/Invalid limit/)
  class DogsController {
    find(): string {
      return 'found'
    }
  }
  decorate(DogsController, {
    methods: { find: [Get(), Limit('1/hour', { headers: 'no' } as object)] },
    class: [Controller()],
  })
  const imports = [RateThrottleModule.forRoot({})]
  const started = start('express', { imports, controllers: [DogsController] })
  await expect(started).rejects.toThrow(/^@Limit of DogsController\.find: headers must be/)
})

it('a handler with limits in an application without the module is not served', async () => {
  const { CatsController, runs } = makeCats()
  const { url } = await start('express', { controllers: [CatsController] })
  expect(await statuses(`${url}/cats/search`, 1)).toEqual([500])
  expect(runs.search).toBe(0)
})

it('global: false limits only what is decorated', async () => {
  const { CatsController } = makeCats()
  class GuardedController {
    find(): string {
      return 'found'
    }
  }
  decorate(GuardedController, {
    methods: { find: [Get()] },
    class: [UseRateThrottle(), Controller('guarded')],
  })
  const imports = [RateThrottleModule.forRoot({ limits: '1/hour', global: false })]
  const controllers = [CatsController, GuardedController]
  const { url } = await start('express', { imports, controllers })
  expect(await statuses(`${url}/cats`, 3)).toEqual([200, 200, 200])
  expect(await statuses(`${url}/guarded`, 3)).toEqual([200, 429, 429])
})

const REDIS = Symbol('redis')

async function redisModule() {
  const server = await serverForTest()
  const redis = new Redis(server.port, '127.0.0.1')
  class RedisModule {}
  Module({ providers: [{ provide: REDIS, useValue: redis }], exports: [REDIS] })(RedisModule)
  return { RedisModule, close: () => redis.disconnect() }
}

it('the counters live in an injected client of ioredis: by its token, and by a factory', async () => {
  const { CatsController, runs } = makeCats()
  const { RedisModule, close } = await redisModule()
  // Machines that run tests are slow.
  const options = { limits: '20/hour', deadlineMs: 10_000, connectTimeoutMs: 10_000 } as const
  const all: INestApplication[] = []
  const urls: string[] = []
  for (const module of [
    RateThrottleModule.forRoot({ imports: [RedisModule], ...options, storage: REDIS }),
    RateThrottleModule.forRootAsync({
      imports: [RedisModule],
      inject: [REDIS],
      useFactory: async (redis: Redis) => ({ ...options, storage: redis }),
    }),
  ]) {
    const { app, url } = await start('fastify', {
      imports: [module],
      controllers: [CatsController],
    })
    all.push(app)
    urls.push(url)
  }
  const found = await Promise.all(urls.map((url) => statuses(`${url}/cats`, 100)))
  expect(found.flat().filter((status) => status === 200)).toHaveLength(20)
  expect(runs.find).toBe(20)
  for (const app of all) await app.close()
  close()
})

it('a token that a factory returns is refused', async () => {
  const module = RateThrottleModule.forRootAsync({
    useFactory: () => ({ limits: '1/hour', storage: REDIS }) as object,
  })
  await expect(start('express', { imports: [module] })).rejects.toThrow(/storage must be/)
})

it.each([
  [() => RateThrottleModule.forRootAsync({} as never), /^useFactory must be a function/],
  [
    () => RateThrottleModule.forRoot([{ ttl: 60_000 }] as never),
    /^options must be an object, got /,
  ],
])('what has not the form of options is refused where it is written: %#', (make, message) => {
  expect(make).toThrow(message)
})

it('programs ask the limits of the module and of decorators', async () => {
  const { CatsController } = makeCats()
  class Asker {
    readonly limits: RateThrottleService
    constructor(limits: RateThrottleService) {
      this.limits = limits
    }
  }
  Inject(RateThrottleService)(Asker, undefined as never, 0)
  const imports = [RateThrottleModule.forRoot({ limits: '3/hour' })]
  const parts = { imports, controllers: [CatsController], providers: [Asker] }
  const { app, url } = await start('express', parts)
  const { limits } = app.get(Asker)
  expect(await limits.check('127.0.0.1')).toMatchObject({ allowed: true, remaining: 2 })
  expect(await statuses(`${url}/cats/search`, 3)).toEqual([200, 200, 429])
  expect(await limits.peek('127.0.0.1')).toMatchObject({ allowed: false, remaining: 0 })
  await limits.reset('127.0.0.1')
  await limits.named('CatsController.search').reset('127.0.0.1')
  expect(await statuses(`${url}/cats/search`, 1)).toEqual([200])
  await limits.block('127.0.0.1', 60_000)
  expect(await statuses(`${url}/cats`, 2)).toEqual([429, 429])
  expect(limits.stats()).toMatchObject({ admitted: 4 })
  expect(await limits.ready()).toEqual({ available: true, reason: undefined })
  expect(() => limits.named('nothing')).toThrow(/there are: nest, CatsController.search/)
  await app.close()
  await expect(limits.check('127.0.0.1')).rejects.toMatchObject({ code: 'CLOSED' })
})

it('an application without HTTP has the service', async () => {
  class AppModule {}
  Module({ imports: [RateThrottleModule.forRoot({ limits: '1/hour' })] })(AppModule)
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false })
  const limits = app.get(RateThrottleService)
  expect((await limits.check('job')).allowed).toBe(true)
  expect((await limits.check('job')).allowed).toBe(false)
  await app.close()
})

/** Compiled with the project: vitest's transformer does not know Nest's decorators. */
const { buildService } = createRequire(join(ROOT, 'package.json'))('./examples/dist/nest.js') as {
  buildService(options?: object): Promise<INestApplication>
}

it('the example limits each of its endpoints for each client', async () => {
  const app = await buildService({ clock: new FakeClock() })
  await app.listen(0, '127.0.0.1')
  const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/api`
  const ask = async (path: string, count: number, init: RequestInit): Promise<number> =>
    (await statuses(url + path, count, init)).filter((status) => status === 200).length
  const post = { method: 'POST' }
  expect(await ask('/public', 130, {})).toBe(100)
  expect(await ask('/public', 60, { headers: { 'x-user': 'ada' } })).toBe(60)
  expect(await ask('/report', 15, post)).toBe(10)
  expect(await ask('/report', 15, { ...post, headers: { 'x-user': 'stranger' } })).toBe(0)
  const refused = await fetch(`${url}/report`, post)
  expect(await refused.json()).toEqual({ error: 'Rate limit exceeded', retry_after: 60 })
  await app.close()
})
