import { createRequire } from 'node:module'
import { getRequestListener } from '@hono/node-server'
import express from 'express'
import { Hono } from 'hono'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import { rateThrottle as forHono } from 'ratethrottle/hono'
import { rateThrottle as forHttp } from 'ratethrottle/http'
import { expect, test } from 'vitest'
import { listen } from '../http/serve.ts'

const express4 = createRequire(`${process.cwd()}/`)('express-4') as typeof express

/** What a limiter offers beside limiting; this says so without the types of any version. */
interface Offered {
  reset?(key: unknown): unknown
  peek?(key: unknown): unknown
  ready?(): Promise<{ available: boolean; reason: unknown }>
  close?(): unknown
  limit?(limits: unknown): Offered
}

// biome-ignore lint/suspicious/noExplicitAny: each adapter has its own request
type Options = any
type Made = [app: unknown, limiter: Offered]

const MAKE: Record<string, (options: Options) => Made> = {
  'Express 5': (options) => ofExpress(express(), options),
  'Express 4': (options) => ofExpress(express4(), options),
  Hono: (options) => {
    const limiter = forHono(options)
    const app = new Hono()
    app.use(limiter)
    app.get('/', (c) => c.text('done'))
    return [getRequestListener(app.fetch), limiter as Offered]
  },
  'node:http': (options) => {
    const limiter = forHttp(options)
    return [limiter.wrap((_, response) => void response.end('done')), limiter as Offered]
  },
}

function ofExpress(app: ReturnType<typeof express>, options: Options): Made {
  const limiter = forExpress(options)
  app.use(limiter)
  app.get('/', (_, response) => void response.send('done'))
  return [app, limiter as Offered]
}

async function statuses(base: string, count: number): Promise<number[]> {
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push((await fetch(base)).status)
  return seen
}

const ADDRESS_OF_THE_TEST = '127.0.0.1'

for (const [name, make] of Object.entries(MAKE)) {
  test(`${name}: reset, peek and ready use the keys that the limiter counts`, async () => {
    const [app, limiter] = make({ limits: '2/hour' })
    const base = await listen(app)
    expect(await statuses(base, 3)).toEqual([200, 200, 429])
    expect(await limiter.peek?.(ADDRESS_OF_THE_TEST)).toMatchObject({ allowed: false, limit: 2 })
    expect(await limiter.peek?.('127.0.0.2')).toMatchObject({ allowed: true, remaining: 2 })
    await limiter.reset?.(ADDRESS_OF_THE_TEST)
    expect(await statuses(base, 3)).toEqual([200, 200, 429])
    expect(await limiter.ready?.()).toEqual({ available: true, reason: undefined })
    limiter.close?.()
    expect(await statuses(base, 1)).toEqual([500])
  })

  test(`${name}: a numeric key is accepted as the key function returns it`, async () => {
    const [app, limiter] = make({ limits: '1/hour', key: () => 42 })
    const base = await listen(app)
    expect(await statuses(base, 2)).toEqual([200, 429])
    expect(await limiter.peek?.(42)).toMatchObject({ allowed: false })
    expect(await attempt(() => limiter.reset?.(42))).toBeUndefined()
    expect(await statuses(base, 2)).toEqual([200, 429])
  })

  test(`${name}: the shared bucket of requests without a key is reset by reset(undefined); other values are refused`, async () => {
    const [app, limiter] = make({ limits: '1/hour', key: () => null, missingKey: 'shared' })
    const base = await listen(app)
    expect(await statuses(base, 2)).toEqual([200, 429])
    expect(await attempt(() => limiter.reset?.(undefined))).toBeUndefined()
    expect(await statuses(base, 2)).toEqual([200, 429])
    for (const wrong of [{}, 1.5, true, ['a']]) {
      expect(await attempt(() => limiter.reset?.(wrong))).toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
      expect(await attempt(() => limiter.peek?.(wrong))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    const [, strict] = make({ limits: '1/hour' })
    expect(await attempt(() => strict.reset?.(undefined))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
}

test('the controls of a limiter without limits throw an error with a code, and reach its children', async () => {
  for (const make of [forExpress, forHono as (options?: object) => unknown]) {
    const limiter = (await attempt(() => make({}))) as Offered
    const child = limiter.limit?.('1/hour')
    expect(await attempt(() => limiter.reset?.('a'))).toMatchObject({ code: 'NO_LIMITS' })
    expect(await attempt(() => limiter.peek?.('a'))).toMatchObject({ code: 'NO_LIMITS' })
    expect(await limiter.ready?.()).toEqual({ available: true, reason: undefined })
    expect(await child?.peek?.('a')).toMatchObject({ remaining: 1 })
    limiter.close?.()
    expect(await attempt(() => child?.peek?.('a'))).toBeInstanceOf(Error)
  }
})

test('ready says why a store cannot be used, also for children, and never rejects', async () => {
  const limiter = forExpress() as Offered
  // Port 1 of this machine is closed.
  limiter.limit?.({ limits: '1/hour', storage: 'redis://127.0.0.1:1', deadlineMs: 20 })
  const state = await limiter.ready?.()
  expect(typeof state?.available).toBe('boolean')
  limiter.close?.()
})

/** What a call returns, resolves to, throws or rejects with. */
async function attempt(call: () => unknown): Promise<unknown> {
  try {
    return await call()
  } catch (error) {
    return error
  }
}
