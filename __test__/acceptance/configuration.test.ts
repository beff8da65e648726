import { randomUUID } from 'node:crypto'
import { FakeClock } from 'ratethrottle'
import { afterEach, describe, expect, it } from 'vitest'
import { type Ask, figures, times } from '../http/client.ts'
import { FRAMEWORKS, type Framework, type Options, type Served, serveSite } from '../http/serve.ts'
import { freePort } from '../redis/server.ts'

type Settings = Readonly<Record<string, unknown>>

afterEach(() => {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('RATELIMIT_')) delete process.env[name]
  }
})

/** The same settings, in the options or in the environment. */
const WAYS = [
  ['as options', (settings: Settings) => settings],
  [
    'in the environment',
    (settings: Settings) => {
      for (const [name, value] of Object.entries(settings)) process.env[name] = String(value)
      return {}
    },
  ],
] as const
const CASES = FRAMEWORKS.flatMap((framework) =>
  WAYS.map(([how, set]) => [framework, how, set] as const),
)

/** Of a service with a limit on a route; `isGlobal`: on everything. */
function start(framework: Framework, options: object, isGlobal = false): Promise<Served> {
  const limits = '2/minute'
  return serveSite(framework, {
    options: { ...options, ...(isGlobal ? { limits } : {}) } as Options,
    routes: [isGlobal ? { path: '/' } : { path: '/', limits }],
  })
}

describe.each(CASES)('%s: configuration %s', (framework, _, set) => {
  it.each([false, true])('memory: is a storage URL (for everything: %s)', async (isGlobal) => {
    const options = set({ RATELIMIT_STORAGE_URL: 'memory:' })
    const { statuses } = await start(framework, options, isGlobal)
    expect(await statuses(3)).toEqual(times(2, 200, 1, 429))
  })

  it.each([false, true])(
    'a Redis URL is accepted, and each process counts by itself while no Redis answers there (for everything: %s)',
    async (isGlobal) => {
      const settings = set({
        RATELIMIT_STORAGE_URL: `redis://localhost:${await freePort()}/0`,
        RATELIMIT_KEY_PREFIX: `${randomUUID()}:`,
      })
      const options = { connectTimeoutMs: 50, ...settings }
      const { statuses } = await start(framework, options, isGlobal)
      expect(await statuses(3)).toEqual(times(2, 200, 1, 429))
    },
  )

  it.each([
    ['sliding_window', 429],
    ['token_bucket', 200],
  ])('the strategy %s decides', async (RATELIMIT_STRATEGY, afterHalfAMinute) => {
    const clock = new FakeClock()
    const options = { clock, ...set({ RATELIMIT_STRATEGY }) }
    const { statuses } = await start(framework, options)
    expect(await statuses(3)).toEqual(times(2, 200, 1, 429))
    clock.advance(30_000)
    expect(await statuses(1)).toEqual([afterHalfAMinute])
  })

  it.each([true, false])(
    'RATELIMIT_HEADERS_ENABLED %s turns the headers on or off',
    async (RATELIMIT_HEADERS_ENABLED) => {
      const { ask } = await start(framework, set({ RATELIMIT_HEADERS_ENABLED }))
      const none = [undefined, undefined]
      expect(figures(await ask())).toEqual(RATELIMIT_HEADERS_ENABLED ? ['2', '1'] : none)
      await ask()
      const denied = await ask()
      expect(figures(denied)).toEqual(RATELIMIT_HEADERS_ENABLED ? ['2', '0'] : none)
      // Clients need this one to behave.
      expect(denied.headers).toHaveProperty('retry-after')
      const sent = Object.keys(denied.headers).filter((name) => /^(x-)?ratelimit/.test(name))
      expect(sent).toHaveLength(RATELIMIT_HEADERS_ENABLED ? 3 : 0)
    },
  )

  it('a key prefix has no effect with memory storage', async () => {
    const { statuses } = await start(framework, set({ RATELIMIT_KEY_PREFIX: 'ratelimit:' }))
    expect(await statuses(3)).toEqual(times(2, 200, 1, 429))
    const other: Ask = { from: '127.0.0.2' }
    expect(await statuses(3, '/', other)).toEqual(times(2, 200, 1, 429))
  })

  it.each([false, true])('all settings work together (for everything: %s)', async (isGlobal) => {
    const settings = {
      RATELIMIT_STORAGE_URL: 'memory:',
      RATELIMIT_STRATEGY: 'sliding_window',
      RATELIMIT_HEADERS_ENABLED: true,
      RATELIMIT_KEY_PREFIX: 'ratelimit:',
    }
    const { ask, statuses } = await start(framework, set(settings), isGlobal)
    expect(figures(await ask())).toEqual(['2', '1'])
    expect(await statuses(2)).toEqual([200, 429])
  })

  it.each([
    ['RATELIMIT_STRATGY', 'sliding_window'],
    ['RATELIMIT_STRATEGY', 'sliding_widow'],
    ['RATELIMIT_HEADERS_ENABLED', 'maybe'],
    ['RATELIMIT_STORAGE_URL', 'mongodb://user:secret@localhost'],
    ['RATELIMIT_STORAGE_URL', 'localhost:6379'],
  ])('%s=%s stops the start with an error that names it', async (name, value) => {
    for (const isGlobal of [false, true]) {
      const error = await start(framework, set({ [name]: value }), isGlobal).catch((e) => e)
      expect(error).toBeInstanceOf(Error)
      expect(error.message).toContain(name)
      expect(error.message).not.toContain('secret')
    }
  })
})

describe.each(FRAMEWORKS)('%s: precedence of settings', (framework) => {
  it('an option has precedence over a setting, and a setting over the environment', async () => {
    Object.assign(process.env, { RATELIMIT_HEADERS_ENABLED: 'true' })
    const off = { RATELIMIT_HEADERS_ENABLED: false }
    expect(figures(await (await start(framework, off)).ask())).toEqual([undefined, undefined])
    const none = await start(framework, { headers: false })
    expect(figures(await none.ask())).toEqual([undefined, undefined])
    const both = await start(framework, { ...off, headers: 'both' })
    expect(figures(await both.ask())).toEqual(['2', '1'])
    Object.assign(process.env, { RATELIMIT_STORAGE_URL: 'redis://localhost:6379/0' })
    const memory = await start(framework, { storage: 'memory:' })
    expect(await memory.statuses(3)).toEqual(times(2, 200, 1, 429))
  })

  it('an empty environment variable counts as not set', async () => {
    Object.assign(process.env, { RATELIMIT_STRATEGY: '', RATELIMIT_STORAGE_URL: '' })
    expect(await (await start(framework, {})).statuses(3)).toEqual(times(2, 200, 1, 429))
  })

  it('a setting of a wrong type stops the start with an error that names it', async () => {
    for (const [name, value] of [
      ['RATELIMIT_STORAGE_URL', 6379],
      ['RATELIMIT_KEY_PREFIX', 7],
      ['RATELIMIT_STRATEGY', null],
      ['RATELIMIT_HEADERS_ENABLED', 2],
    ] as const) {
      const error = await start(framework, { [name]: value }).catch((e) => e)
      expect(error).toBeInstanceOf(Error)
      expect(error.message).toContain(name)
    }
  })
})
