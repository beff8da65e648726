import { expect, it, vi } from 'vitest'
import { Guard } from '../../../dist/shield/guard.js'
import { PATIENCE } from '../../fixtures/patience.ts'
import { ADAPTERS, serve } from '../../http/serve.ts'
import { CALM, refuse, ScriptedGuard } from './scripted.ts'

const each = it.each(ADAPTERS)

each('%s: the shield is asked before the limits, once for all of them', async (framework) => {
  const guard = new ScriptedGuard()
  const site = await serve(
    framework,
    { shield: guard, limits: '3/minute' },
    { routes: [{ path: '/a', limits: '100/minute', stacked: ['50/minute', '40/minute'] }] },
  )
  await site.ask('/a')
  expect(guard.asked).toEqual([{ ip: '127.0.0.1', path: '/a', sensitive: false }])
  guard.say = () => refuse()
  const refused = await site.ask('/a')
  expect(refused.status).toBe(429)
  expect(refused.headers['x-ratelimit-limit']).toBeUndefined()
  expect(site.runs()).toBe(1)
  guard.say = () => CALM
  // A refusal of the shield has charged no limit.
  expect((await site.ask('/a')).headers['x-ratelimit-remaining']).not.toBe('0')
})

each('%s: a request without limits is asked about too', async (framework) => {
  const guard = new ScriptedGuard(({ path }) => (path === '/no' ? refuse() : CALM))
  const site = await serve(framework, { shield: guard }, (path) => (path === '/lost' ? 404 : 200))
  expect([(await site.ask('/yes')).status, (await site.ask('/no')).status]).toEqual([200, 429])
  expect(site.runs()).toBe(1)
  expect((await site.ask('/lost')).status).toBe(404)
})

each('%s: the guard is told how each request that passed ends', async (framework) => {
  const guard = new ScriptedGuard(({ path }) => (path === '/refused' ? refuse() : CALM))
  const site = await serve(framework, { shield: guard, limits: '4/minute' }, (path) => {
    if (path === '/throws') throw new Error('on purpose')
    return path === '/bad' ? 401 : 200
  })
  for (const path of ['/good?a=b', '/bad', '/refused']) await site.ask(path)
  await vi.waitFor(() => expect(guard.settled.length).toBe(2), PATIENCE)
  expect(guard.settled).toEqual([
    ['127.0.0.1', '/good', 200],
    ['127.0.0.1', '/bad', 401],
  ])
  await site.ask('/')
  await site.ask('/')
  expect((await site.ask('/over')).status).toBe(429)
  await vi.waitFor(() => expect(guard.settled.length).toBe(5), PATIENCE)
  expect(guard.settled.at(-1)).toEqual(['127.0.0.1', '/over', 429])
})

each(
  '%s: an address of option deny is refused first, one of allow is not asked about',
  async (framework) => {
    const guard = new ScriptedGuard(() => refuse())
    const lists = { deny: '127.0.0.2', allow: '127.0.0.3' }
    const site = await serve(framework, { shield: guard, limits: '9/minute', ...lists })
    expect((await site.ask('/', { from: '127.0.0.2' })).status).toBe(403)
    expect((await site.ask('/', { from: '127.0.0.3' })).status).toBe(200)
    expect(guard.asked).toEqual([])
    expect((await site.ask('/', { from: '127.0.0.4' })).status).toBe(429)
  },
)

each('%s: in watch mode, and where it is off, no request is refused', async (framework) => {
  for (const mode of ['watch', 'off'] as const) {
    const guard = new ScriptedGuard(() => ({ ...refuse(), allowed: true, status: undefined }), mode)
    const site = await serve(framework, { shield: guard, limits: '9/minute' })
    expect(await site.statuses(3)).toEqual([200, 200, 200])
    expect(guard.asked.length).toBe(mode === 'off' ? 0 : 3)
  }
})

each('%s: a guard that fails lets requests pass, and is reported', async (framework) => {
  const errors: unknown[] = []
  const guard = new ScriptedGuard(() => {
    throw new Error('broken')
  })
  const onError = ({ error }: { error: unknown }) => errors.push(error)
  const site = await serve(framework, { shield: guard, limits: '1/minute', onError })
  expect(await site.statuses(2)).toEqual([200, 429])
  expect(errors).toEqual([new Error('broken'), new Error('broken')])
})

each(
  '%s: a guard that was passed in stays open, one that was made is closed',
  async (framework) => {
    const close = vi.spyOn(Guard.prototype, 'close')
    const guard = new ScriptedGuard()
    for (const shield of [guard, {}]) {
      const site = await serve(framework, { shield, limits: '1/minute' })
      await site.ask()
      await site.close()
    }
    expect([guard.closed, close.mock.calls.length]).toEqual([0, 1])
    close.mockRestore()
  },
)

each(
  '%s: a shield that is off and has no limits beside it lets all requests pass',
  async (framework) => {
    const site = await serve(framework, { shield: { mode: 'off' } }, (path) =>
      path === '/' ? 200 : 404,
    )
    expect(await site.statuses(2)).toEqual([200, 200])
    expect((await site.ask('/other')).status).toBe(404)
  },
)

each('%s: options of a shield are checked, and a limit of a route has none', async (framework) => {
  const wrong = [
    { mode: 'on' },
    { tarpit: { ms: 0 } },
    { tarpit: { max: -1 } },
    { sensitive: '/login' },
  ]
  for (const shield of [...wrong, true, 'watch', [], { trust: true }, { nonsense: 1 }]) {
    await expect(serve(framework, { shield, limits: '1/minute' })).rejects.toThrow(
      /must be|unknown|would accept/,
    )
  }
  if (framework === 'node:http') return
  const limits = { limits: '1/minute', shield: { mode: 'watch' } }
  const site = serve(
    framework,
    { shield: {}, limits: '1/minute' },
    { routes: [{ path: '/a', limits }] },
  )
  await expect(site).rejects.toThrow('shield must be an option of the whole server')
})
