import {
  type ArgumentsHost,
  Catch,
  Controller,
  Get,
  HttpException,
  type INestApplication,
  Post,
  Query,
} from '@nestjs/common'
import { insight } from 'ratethrottle/insight'
import { contextOf, Limit, RateLimitExceeded, RateThrottleModule } from 'ratethrottle/nest'
import { shield } from 'ratethrottle/shield'
import { FakeClock } from 'ratethrottle/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { closeAll, decorate, makeCats, type Parts, PLATFORMS, start, statuses } from './apps.ts'

afterEach(closeAll)

it('a client that waits as long as it is told is admitted', async () => {
  const wait = async (platform: (typeof PLATFORMS)[number]): Promise<void> => {
    const { CatsController } = makeCats()
    const clock = new FakeClock()
    const imports = [RateThrottleModule.forRoot({ limits: '1/second', clock })]
    const { url } = await start(platform, { imports, controllers: [CatsController] })
    const answers = await Promise.all(Array.from({ length: 20 }, () => fetch(`${url}/cats`)))
    const refused = answers.find(({ status }) => status === 429)
    expect(refused?.headers.get('retry-after')).toBe('1')
    clock.advance(1_000)
    expect((await fetch(`${url}/cats`)).status).toBe(200)
  }
  await Promise.all(PLATFORMS.map(wait))
})

describe.each(PLATFORMS)('%s', (platform) => {
  async function startCats(options: object, more: Parts = {}) {
    const { CatsController, runs } = makeCats()
    const imports = [RateThrottleModule.forRoot(options)]
    const { app, url } = await start(platform, { imports, controllers: [CatsController], ...more })
    return { app, runs, url: `${url}/cats`, root: url }
  }

  it('200 parallel callers: exactly as many handlers run as the limit admits', async () => {
    const { CatsController, runs } = makeCats()
    const imports = [RateThrottleModule.forRoot({ limits: '20/hour' })]
    const { url } = await start(platform, { imports, controllers: [CatsController] })
    const found = await statuses(`${url}/cats`, 200)
    expect(found.filter((status) => status === 200)).toHaveLength(20)
    expect(found.filter((status) => status === 429)).toHaveLength(180)
    expect(runs.find).toBe(20)
  })

  it('answers a refusal with the headers and the body of the other adapters', async () => {
    const { CatsController, runs } = makeCats()
    const options = { limits: '1/minute', clock: new FakeClock() }
    const imports = [RateThrottleModule.forRoot(options)]
    const { url } = await start(platform, { imports, controllers: [CatsController] })
    await fetch(`${url}/cats`)
    const response = await fetch(`${url}/cats`)
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(response.headers.get('x-ratelimit-limit')).toBe('1')
    expect(await response.json()).toEqual({
      statusCode: 429,
      code: 'RATE_LIMIT_EXCEEDED',
      error: 'Too Many Requests',
      message: 'Rate limit exceeded, retry in 60 seconds',
    })
    expect(runs.find).toBe(1)
  })

  it('charges the module and the handler both, or neither', async () => {
    const { CatsController, runs } = makeCats()
    const imports = [RateThrottleModule.forRoot({ limits: '3/minute' })]
    const { url } = await start(platform, { imports, controllers: [CatsController] })
    expect(await statuses(`${url}/cats/search`, 10)).toEqual([200, 200, ...Array(8).fill(429)])
    expect(await statuses(`${url}/cats`, 10)).toEqual([200, ...Array(9).fill(429)])
    expect(await statuses(`${url}/cats/free`, 10)).toEqual(Array(10).fill(200))
    expect(runs).toEqual({ find: 1, search: 2, free: 10 })
  })

  it('limits of a class are one budget for its handlers that have none of their own', async () => {
    class DogsController {
      one(): string {
        return 'one'
      }
      two(): string {
        return 'two'
      }
      own(): string {
        return 'own'
      }
    }
    decorate(DogsController, {
      methods: { one: [Get('one')], two: [Get('two')], own: [Limit('9/hour'), Get('own')] },
      class: [Limit('3/hour'), Controller('dogs')],
    })
    const { root } = await startCats({ limits: '100/hour' }, { controllers: [DogsController] })
    expect(await statuses(`${root}/dogs/one`, 2)).toEqual([200, 200])
    expect(await statuses(`${root}/dogs/two`, 2)).toEqual([200, 429])
    expect(await statuses(`${root}/dogs/own`, 10)).toEqual([...Array(9).fill(200), 429])
  })

  it('HEAD counts as GET, and other methods may be left out', async () => {
    const { url } = await startCats({ limits: '2/hour', methods: ['GET'] })
    const heads = [await fetch(url, { method: 'HEAD' }), await fetch(url, { method: 'HEAD' })]
    expect(heads.map(({ status }) => status)).toEqual([200, 200])
    expect((await fetch(url)).status).toBe(429)
  })

  it('filters see an HttpException that is a RateLimitExceeded', async () => {
    const seen: unknown[] = []
    class Filter {
      catch(error: unknown, host: ArgumentsHost): void {
        seen.push(error)
        const response = host.switchToHttp().getResponse()
        if (platform === 'express') response.status(429).json({ own: true })
        else response.code(429).send({ own: true })
      }
    }
    Catch(HttpException)(Filter)
    const prepare = (app: INestApplication) => app.useGlobalFilters(new Filter())
    const { url } = await startCats({ limits: '1/hour', clock: new FakeClock() }, { prepare })
    await fetch(url)
    const response = await fetch(url)
    expect([response.status, await response.json()]).toEqual([429, { own: true }])
    expect(response.headers.get('retry-after')).toBe('3600')
    const [error] = seen as [RateLimitExceeded]
    expect(error).toBeInstanceOf(HttpException)
    expect(error).toBeInstanceOf(RateLimitExceeded)
    expect(error).toMatchObject({
      name: 'RateLimitExceeded',
      code: 'RATE_LIMIT_EXCEEDED',
      statusCode: 429,
      retryAfter: 3600,
      decision: { allowed: false, limit: 1 },
    })
  })

  it('options problem and handler answer in place of filters', async () => {
    const problem = await startCats({ limits: '1/hour', problem: true })
    await fetch(problem.url)
    const refused = await fetch(problem.url)
    expect([refused.status, refused.headers.get('content-type')]).toEqual([
      429,
      'application/problem+json',
    ])
    const handler = (_request: unknown, response: { send(body: string): void }) => {
      response.send('own answer')
    }
    const own = await startCats({ limits: '1/hour', handler })
    await fetch(own.url)
    const answers = await Promise.all(Array.from({ length: 5 }, () => fetch(own.url)))
    for (const answer of answers) {
      expect([answer.status, await answer.text()]).toEqual([429, 'own answer'])
    }
    expect(own.runs.find).toBe(1)
  })

  it('a dry run refuses nothing, and says what it would have refused', async () => {
    const denied: string[] = []
    const onDeny = ({ key }: { key: string }) => denied.push(key)
    const { url } = await startCats({ limits: '1/hour', dryRun: true, onDeny })
    expect(await statuses(url, 3)).toEqual([200, 200, 200])
    expect(denied).toEqual(['127.0.0.1', '127.0.0.1'])
  })

  it('headers of proxies are believed as the platform is set, or option trust says', async () => {
    const ask = (url: string, client: string) =>
      statuses(url, 1, { headers: { 'x-forwarded-for': client } })
    const prepare = (app: INestApplication) => {
      if (platform === 'express')
        app.getHttpAdapter().getInstance().set('trust proxy', ['loopback'])
    }
    const set = await startCats({ limits: '1/hour' }, { prepare, trustProxy: ['127.0.0.1'] })
    const named = await startCats({ limits: '1/hour', trust: ['127.0.0.1'] })
    const unset = await startCats({ limits: '1/hour' })
    for (const [{ url }, second] of [
      [set, 200],
      [named, 200],
      [unset, 429],
    ] as const) {
      expect(await ask(url, '192.0.2.1')).toEqual([200])
      expect(await ask(url, '192.0.2.2')).toEqual([second])
      expect(await ask(url, '192.0.2.1')).toEqual([429])
    }
  })

  it('a key function is told the handler, and failures of it are not free', async () => {
    const key = (request: object) => contextOf(request)?.getHandler().name
    const { url, runs } = await startCats({ limits: '1/hour', key })
    expect(await statuses(url, 2)).toEqual([200, 429])
    expect(await statuses(`${url}/search`, 2)).toEqual([200, 429])
    expect(runs).toEqual({ find: 1, search: 1, free: 0 })
  })

  it('only failures count, where countWhen says so', async () => {
    class LoginController {
      login(password: string): string {
        if (password !== 'right') throw new HttpException('wrong', 401)
        return 'in'
      }
    }
    decorate(LoginController, {
      parameters: { login: [Query('password')] },
      methods: { login: [Post(), Limit('3/hour', { countWhen: 'failure', name: 'login' })] },
      class: [Controller('login')],
    })
    const { root } = await startCats({}, { controllers: [LoginController] })
    const post = { method: 'POST' }
    expect(await statuses(`${root}/login?password=right`, 5, post)).toEqual([
      201, 201, 201, 201, 201,
    ])
    const wrong = await statuses(`${root}/login?password=wrong`, 10, post)
    expect(wrong.filter((status) => status === 401)).toHaveLength(3)
    expect(await statuses(`${root}/login?password=right`, 1, post)).toEqual([429])
  })

  it('an insight counts by route', async () => {
    const view = insight()
    const { url } = await startCats({ limits: '3/hour', insight: view })
    await statuses(url, 5)
    await statuses(`${url}/search`, 1)
    const report = await view.report()
    const rows = report.limits.map(({ name, admitted, denied }) => ({ name, admitted, denied }))
    expect(rows).toContainEqual({ name: 'nest', admitted: 3, denied: 3 })
    expect(rows.map(({ name }) => name)).toContain('CatsController.search')
    expect(report.routes.map(({ route }) => route).sort()).toEqual([
      'GET /cats',
      'GET /cats/search',
    ])
    view.close()
  })

  it('a shield is asked about all that arrives, also for paths that no route has', async () => {
    const guard = shield({ mode: 'enforce' })
    guard.block('127.0.0.1', 60_000)
    const { url, root, runs } = await startCats({ limits: '100/hour', shield: guard })
    for (const path of [url, `${url}/free`, `${root}/none`]) {
      const response = await fetch(path)
      expect([response.status, response.headers.get('retry-after')]).toEqual([
        429,
        expect.stringMatching(/^\d+$/),
      ])
    }
    guard.pardon('127.0.0.1')
    expect(await statuses(url, 1)).toEqual([200])
    expect(runs).toEqual({ find: 1, search: 0, free: 0 })
    guard.close()
  })
})
