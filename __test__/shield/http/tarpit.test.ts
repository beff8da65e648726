import { expect, it, vi } from 'vitest'
import { Tarpit } from '../../../dist/shield/tarpit.js'
import { PATIENCE } from '../../fixtures/patience.ts'
import { repeat } from '../../http/client.ts'
import { ADAPTERS, serve } from '../../http/serve.ts'
import { refuse, ScriptedGuard, withRequestOptions } from './scripted.ts'

const each = it.each(ADAPTERS)
const LEVEL_3 = refuse({ level: 3, retryAfterMs: 60_000 })

/** A request after which the client closes its connection. */
const LAST = { headers: { connection: 'close' } }

/** A guard that holds all refusals for so long that only their release ends it. */
function holding(max: number, ms: number | string = '1 minute'): ScriptedGuard {
  return withRequestOptions(new ScriptedGuard(() => LEVEL_3), { tarpit: { ms, max } })
}

each(
  '%s: as many as the tarpit has room for are held, the others refused at once',
  async (framework) => {
    const guard = holding(3)
    const site = await serve(framework, { shield: guard })
    const done: number[] = []
    const asked = repeat(3, () => site.ask('/').then(({ status }) => done.push(status)))
    await vi.waitFor(() => expect(guard.asked.length).toBe(3), PATIENCE)
    expect(await site.statuses(4)).toEqual([429, 429, 429, 429])
    expect(done).toEqual([])
    site.server.closeAllConnections()
    await Promise.allSettled(asked)
  },
)

each(
  '%s: a held attempt is answered when its time is over, with the wait that is left',
  async (framework) => {
    const guard = withRequestOptions(
      new ScriptedGuard(() => refuse({ level: 3, retryAfterMs: 2_300 })),
      { tarpit: { ms: 400, max: 9 } },
    )
    const site = await serve(framework, { shield: guard, limits: '1/minute' })
    const start = performance.now()
    const { status, headers } = await site.ask()
    expect(performance.now() - start).toBeGreaterThan(390)
    expect([status, headers['retry-after']]).toEqual([429, '2'])
  },
)

each('%s: a client that leaves makes room for another', async (framework) => {
  const guard = holding(1)
  const site = await serve(framework, { shield: guard })
  const leaving = new AbortController()
  const first = site.ask('/', { signal: leaving.signal })
  await vi.waitFor(() => expect(guard.asked.length).toBe(1), PATIENCE)
  expect((await site.ask()).status).toBe(429)
  leaving.abort()
  await expect(first).rejects.toThrow()
  // Held, once the server knows that the first client has left.
  let answered = 0
  await vi.waitFor(async () => {
    const next = site.ask().then(
      () => answered++,
      () => {},
    )
    const soon = new Promise((resolve) => setTimeout(resolve, 100))
    const before = answered
    await Promise.race([next, soon])
    expect(answered).toBe(before)
  }, PATIENCE)
  site.server.closeAllConnections()
})

each('%s: other levels are not held', async (framework) => {
  const guard = holding(9)
  const site = await serve(framework, { shield: guard })
  for (const level of [2, 4] as const) {
    guard.say = () => refuse({ level })
    expect((await site.ask()).status).toBe(429)
  }
})

it('a Fastify server that closes answers the attempts that it holds', async () => {
  const guard = holding(9)
  const { default: Fastify } = await import('fastify')
  const { default: rateThrottle } = await import('ratethrottle/fastify')
  const app = Fastify()
  await app.register(rateThrottle, { shield: guard as never })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const asked = [fetch(url, LAST), fetch(url, LAST)]
  await vi.waitFor(() => expect(guard.asked.length).toBe(2), PATIENCE)
  await app.close()
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([429, 429])
})

it('of a million attempts at most `max` are held, whatever their clients do', () => {
  const tarpit = new Tarpit(60_000, 1_000)
  let answered = 0
  let most = 0
  let leave: (() => void)[] = []
  for (let i = 0; i < 1_000_000; i++) {
    const left = tarpit.hold(() => answered++)
    if (left !== undefined) leave.push(left)
    most = Math.max(most, tarpit.held)
    if (i % 3_000 !== 0) continue
    for (const one of leave) one()
    leave = []
  }
  const { held } = tarpit
  expect([most, answered]).toEqual([1_000, 0])
  tarpit.release()
  expect([answered, tarpit.held]).toEqual([held, 0])
})

it('the attempts are answered in their order, each after its own time', async () => {
  const tarpit = new Tarpit(200, 10)
  const order: [number, number][] = []
  const start = performance.now()
  for (const i of [0, 1, 2]) {
    tarpit.hold(() => order.push([i, performance.now() - start]))
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  await vi.waitFor(() => expect(order.length).toBe(3), PATIENCE)
  expect(order.map(([i]) => i)).toEqual([0, 1, 2])
  for (const [i, ms] of order) expect(ms).toBeGreaterThan(198 + 59 * i)
  tarpit.close()
  expect(tarpit.hold(() => {})).toBeUndefined()
})
