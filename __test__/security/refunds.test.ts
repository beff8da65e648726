import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { FakeClock } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { HeldUnits } from '../../dist/http/held-units.js'
import { ProvisionalCharges } from '../../dist/http/provisional-charge.js'
import { OPEN } from '../fixtures/decision.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { ask, repeat, statuses, text } from '../http/client.ts'
import { type Asked, FRAMEWORKS, type Result, serve } from '../http/serve.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
/** Resolves when there is no client left to answer. */
const gone = (response: ServerResponse): Promise<void> =>
  response.destroyed ? Promise.resolve() : new Promise((resolve) => response.once('close', resolve))

/** Asks, and hangs up some milliseconds after the question is on its way. */
async function abort(port: number, random: Random): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.write(text(), () => resolve()))
  await pause(random.integer(0, 10))
  socket.destroy()
}

/** Makes `count` calls, a hundred at a time. */
async function crowd(count: number, call: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += 100) await Promise.all(repeat(100, call))
}

describe.each(FRAMEWORKS)('%s', (name) => {
  it.each([
    ['failure', 1_000],
    ['success', 200],
  ] as const)(
    'countWhen %s: %d requests aborted at random cause at most N handler runs, and none afterwards (H86)',
    async (countWhen, count) => {
      const random = randomFor(`aborts ${name} ${countWhen}`)
      // The client does not receive the answer, whatever it is: so no request may be refunded.
      const run = async (_: Asked, response: ServerResponse): Promise<Result> => {
        await gone(response)
        return { status: random.pick([200, 500]) }
      }
      const options = { limits: '50/day', countWhen }
      const { port, runs } = await serve(name, options, { routes: [{ path: '/', run }] })
      await crowd(count, () => abort(port, random))
      await expect.poll(runs).toBe(50)
      expect(await statuses(port, 3)).toEqual([429, 429, 429])
      expect(runs()).toBe(50)
    },
  )

  it('beside clients that get refunds, clients that disconnect get at most N handler runs (H86)', async () => {
    const random = randomFor(`some abort ${name}`)
    let aborted = 0
    const run = async (request: Asked, response: ServerResponse): Promise<Result> => {
      if (request.headers['x-stays'] === 'yes') await pause(random.integer(0, 3))
      else {
        await gone(response)
        aborted++
      }
      return { status: 200 }
    }
    const options = { limits: '20/day', countWhen: 'failure' } as const
    const { port } = await serve(name, options, { routes: [{ path: '/', run }] })
    const stay = (): Promise<unknown> => ask(port, { headers: { 'x-stays': 'yes' } })
    await crowd(600, () => (random.chance(0.5) ? stay() : abort(port, random)))
    expect(aborted).toBeLessThanOrEqual(20)
    // Those that hung up in the line ran no handler and took no unit: what is left is left for these.
    for (let i = 0; i < 200 && aborted < 20; i++) await abort(port, random)
    await expect.poll(() => aborted).toBe(20)
    expect(await statuses(port, 2)).toEqual([429, 429])
  })

  it('requests that wait for pipelined requests of another connection are refused when that connection closes (H86, H88)', async () => {
    const run = async (request: Asked): Promise<Result> => {
      if (request.url === '/never') await new Promise(() => {})
      return { status: 200 }
    }
    const routes = [
      { path: '/', run },
      { path: '/never', run },
    ]
    const { port, runs } = await serve(name, { limits: '4/day', countWhen: 'failure' }, { routes })
    const socket = connect(port, '127.0.0.1', () => socket.write(text('/never').repeat(6)))
    await expect.poll(runs).toBe(4)
    const waiting = repeat(5, () => ask(port))
    await pause(5)
    socket.destroy()
    const seen = (await Promise.all(waiting)).map(({ status }) => status)
    expect(seen).toEqual([429, 429, 429, 429, 429])
    expect(await statuses(port, 1)).toEqual([429])
  })

  it.each(['fixed-window', 'sliding-log', 'sliding-window', 'token-bucket'] as const)(
    'a refund after its window adds nothing to the next one: %s (H87)',
    async (algorithm) => {
      const clock = new FakeClock()
      let finish = (): void => {}
      const held = new Promise<void>((resolve) => {
        finish = resolve
      })
      const run = async (request: Asked): Promise<Result> => {
        if (request.headers['x-slow'] !== 'yes') return { status: 500 }
        await held
        return { status: 200 }
      }
      const options = { limits: '2/minute', countWhen: 'failure', algorithm, clock } as const
      const { port, runs } = await serve(name, options, { routes: [{ path: '/', run }] })
      const slow = ask(port, { headers: { 'x-slow': 'yes' } })
      await expect.poll(runs).toBe(1)
      clock.advance(120_001)
      expect(await statuses(port, 2)).toEqual([500, 500])
      finish()
      const { status, headers } = await slow
      expect([status, headers['x-ratelimit-remaining']]).toEqual([200, '1'])
      await pause(5)
      expect(await statuses(port, 2)).toEqual([429, 429])
      expect(runs()).toBe(3)
    },
  )
})

it('after a refund that fails other requests are still answered (H85, H86)', async () => {
  const denied = { ...OPEN, allowed: false, remaining: 0, retryAfterMs: 1_000 }
  for (const refund of [() => Promise.reject(new Error('down')), throwing]) {
    let left = 1
    const ask = () => (left > 0 ? OPEN : denied)
    const take = () => (left-- > 0 ? OPEN : denied)
    const limiter = { peek: ask, refund, check: take, take } as never
    const caps = { maxWaiters: 10, maxWaitersPerKey: 10 }
    const charges = new ProvisionalCharges({ ...caps, now: () => 0, maxWaitMs: 30_000 })
    const limits = { limiter, held: new HeldUnits(undefined, undefined) } as never
    const client = { isGone: false, watch: () => () => {} }
    const charge = () => charges.charge(limits, 'k', 1, client)
    const first = await charge()
    const others = [charge(), charge(), charge()]
    await expect(Promise.resolve().then(() => first.settle?.(false))).rejects.toThrow('down')
    for (const other of await Promise.all(others)) expect(other.decision.allowed).toBe(false)
  }
})

const throwing = (): never => {
  throw new Error('down')
}
