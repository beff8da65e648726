import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLimiter, RateLimiter } from 'ratethrottle'
import { RedisLimiter } from 'ratethrottle/redis'
import { afterEach, describe, expect, test } from 'vitest'
import { diagnosticsOf } from './fixtures/compiled.ts'
import { type Server, startServer } from './redis/server.ts'
import { freshName } from './shared/place.ts'

/** A limiter of any type, so that this file compiles with any methods. */
type Any = Partial<Record<Method, (...args: unknown[]) => unknown>> & { storage?: object }
type Method = (typeof METHODS)[number] | 'allow' | 'stats' | 'close'

const METHODS = ['check', 'peek', 'consume', 'wait', 'refund', 'reset', 'ready', 'block'] as const
const ENVIRONMENT: { RATELIMIT_STORAGE_URL?: string } = process.env

const STORAGES = ['memory:', `shared:${freshName()}`] as const
const closing: (() => unknown)[] = []

/** A promise as a caller sees it that uses it as a decision. */
interface Careless {
  readonly allowed?: boolean
}

/** The answer; a rejection of it is ignored. */
function quiet(answer: unknown): unknown {
  if (answer instanceof Promise) answer.catch(() => {})
  return answer
}

afterEach(async () => {
  delete ENVIRONMENT.RATELIMIT_STORAGE_URL
  for (const close of closing.splice(0).reverse()) await close()
})

async function redis(): Promise<Server> {
  const server = await startServer()
  closing.push(() => server.stop())
  return server
}

function created(options: object): Any {
  const limiter = createLimiter({ limits: '3/hour', ...options } as never) as unknown as Any
  closing.push(() => limiter.close?.())
  return limiter
}

/** How many of 1,000 a service admits that forgets `await`, as a service in production did. */
function admittedCarelessly(limiter: Any, ask: (limiter: Any) => unknown): number {
  let admitted = 0
  for (let i = 0; i < 1_000; i++) {
    try {
      if (ask(limiter)) admitted++
    } catch {
      // A refusal that the service notices at once.
    }
  }
  return admitted
}

describe('a promise is never taken for a boolean', () => {
  test('with Redis set in the environment, forgetting await admits nothing', async () => {
    const server = await redis()
    ENVIRONMENT.RATELIMIT_STORAGE_URL = server.url
    const limiter = created({})
    delete ENVIRONMENT.RATELIMIT_STORAGE_URL
    expect(admittedCarelessly(limiter, (it) => quiet(it.allow?.('k')))).toBe(0)
    const careless = (it: Any): unknown => (quiet(it.check?.('k', 0)) as Careless).allowed
    expect(admittedCarelessly(limiter, careless)).toBe(0)
    expect(limiter.storage?.constructor.name).toBe('RedisStorage')
  })

  test('a RedisLimiter without await admits nothing either, from its first call on', async () => {
    const server = await redis()
    const limiter = new RedisLimiter('3/hour', { url: server.url }) as unknown as Any
    closing.push(() => limiter.close?.())
    expect(admittedCarelessly(limiter, (it) => quiet(it.allow?.('k')))).toBe(0)
    const { allow } = limiter
    expect(admittedCarelessly(limiter, () => quiet(allow?.('k')))).toBe(0)
  })

  test.each([...STORAGES, 'redis'])(
    'allow throws ASYNC_LIMITER over %s and names what to write',
    async (storage) => {
      const url = storage === 'redis' ? (await redis()).url : storage
      const limiter = created({ storage: url })
      let thrown: unknown
      try {
        limiter.allow?.('k')
      } catch (error) {
        thrown = error
      }
      expect(thrown).toMatchObject({ name: 'TypeError', code: 'ASYNC_LIMITER' })
      expect(String(thrown)).toContain('(await limiter.check(key)).allowed')
    },
  )
})

describe('one shape in every storage', () => {
  test.each([...STORAGES, 'redis'])(
    'over %s every method except stats() returns a promise',
    async (storage) => {
      const url = storage === 'redis' ? (await redis()).url : storage
      const limiter = created({ storage: url, name: `n${Math.random()}` })
      const answers = METHODS.map((name) =>
        quiet(limiter[name]?.('k', ...(name === 'block' ? [9] : []))),
      )
      expect(METHODS.filter((_, index) => !(answers[index] instanceof Promise))).toEqual([])
      await Promise.all(answers)
      expect(limiter.stats?.()).not.toBeInstanceOf(Promise)
      expect(await limiter.ready?.()).toEqual({ available: true, reason: undefined })
      expect(quiet(limiter.close?.())).toBeInstanceOf(Promise)
    },
  )

  test('a wrong argument rejects, and never throws, in every storage', async () => {
    const { url } = await redis()
    const calls: [Method, ...unknown[]][] = [
      ['check', 5],
      ['peek', 'k', -1],
      ['consume', 'k', '1'],
      ['refund', 'k', 0.5],
      ['reset', null],
      ['block', 'k', 0],
      ['wait', 7],
      ['wait', 'k', { maxWaitMs: -1 }],
    ]
    for (const storage of [...STORAGES, url]) {
      const limiter = created({ storage })
      for (const [name, ...args] of calls) {
        const outcome = await outcomeOf(() => limiter[name]?.(...args))
        expect(outcome, `${storage} ${name} ${args.map(String)}`).toBe('rejected')
      }
      await limiter.close?.()
      expect(await outcomeOf(() => limiter.check?.('k'))).toBe('rejected')
    }
  })

  test('a shared storage and a RateLimiter of its name count together', async () => {
    const name = freshName()
    const limiter = created({ storage: `shared:${name}` })
    const answer = limiter.check?.('k', 2)
    expect(answer).toBeInstanceOf(Promise)
    await answer
    const twin = new RateLimiter('3/hour', { name, shared: true })
    closing.push(() => twin.close())
    expect(twin.check('k')).toMatchObject({ allowed: true, remaining: 0 })
  })
})

async function outcomeOf(call: () => unknown): Promise<'threw' | 'rejected' | 'resolved'> {
  let answer: unknown
  try {
    answer = call()
  } catch {
    return 'threw'
  }
  return Promise.resolve(answer).then(
    () => 'resolved',
    () => 'rejected',
  )
}

describe('the compiler', () => {
  const HEAD = `
    import { createLimiter, RateLimiter } from 'ratethrottle'
    import { RedisLimiter } from 'ratethrottle/redis'
    const made = createLimiter({ limits: '3/minute' })
    const url = createLimiter({ limits: '3/minute', storage: 'redis://127.0.0.1:1' })
    const some = createLimiter({ limits: '3/minute', storage: process.env.STORAGE })
    const redis = new RedisLimiter('3/minute', { url: 'redis://127.0.0.1:1' })
  `
  const MAKES_ONE = /createLimiter\(|new RedisLimiter\(|rateLimitHeaders\(/
  const MISTAKES = ['made', 'url', 'some', 'redis'].flatMap((name) => [
    `if (!${name}.allow('k')) throw 1`,
    `if (${name}.check('k')) console.log('admitted')`,
    `if (!${name}.check('k').allowed) throw 1`,
    `const { allowed } = ${name}.peek('k')`,
    `${name}.consume('k').remaining`,
  ])

  test('refuses each way of forgetting await', { timeout: 120_000 }, async () => {
    const program = `${HEAD}\n${MISTAKES.map((mistake) => `{ ${mistake} }`).join('\n')}`
    const said = await diagnosticsOf(program)
    const first = HEAD.split('\n').length + 1
    const lines = new Set(said.map((line) => Number(/\((\d+),/.exec(line)?.[1])))
    const unnoticed = MISTAKES.filter((_, index) => !lines.has(first + index))
    expect(unnoticed).toEqual([])
  })

  // __test__/docs tests that they compile.
  test('no example of the docs calls allow on such a limiter', () => {
    const names = readdirSync('docs', { recursive: true }) as string[]
    const pages = ['README.md', ...names.map((name) => join('docs', name))]
    const blocks = pages
      .filter((page) => page.endsWith('.md'))
      .flatMap((page) => [...readFileSync(page, 'utf8').matchAll(/```ts[^\n]*\n([\s\S]*?)```/g)])
      .map(([, code = '']) => code)
      .filter((code) => MAKES_ONE.test(code) && !code.includes('new RateLimiter('))
    expect(blocks.length).toBeGreaterThan(2)
    expect(blocks.join()).not.toContain('.allow(')
  })

  test('accepts code that awaits, the same for all storages', { timeout: 120_000 }, async () => {
    const said = await diagnosticsOf(`${HEAD}
      import type { AsyncLimiter, StoreStatus } from 'ratethrottle'
      import { limit } from 'ratethrottle/decorators'
      for (const limiter of [made, url, some, redis] satisfies AsyncLimiter[]) {
        const { allowed, retryAfter }: { allowed: boolean; retryAfter: number | undefined } =
          await limiter.check('k')
        const { available, reason }: StoreStatus = await limiter.ready()
        console.log(allowed, retryAfter, available, reason, limiter.stats(), limiter.limits[0]?.count)
      }
      class Mailer {
        @limit({ limiter: some, key: (to: string) => to })
        async send(to: string) { return to }
      }
      const sync: boolean = new RateLimiter('3/minute').allow('k')
      export { Mailer, sync }
    `)
    expect(said).toEqual([])
  })
})
