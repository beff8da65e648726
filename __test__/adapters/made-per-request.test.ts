import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import Fastify from 'fastify'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import rateThrottle from 'ratethrottle/fastify'
import { expect, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { warnings } from '../fixtures/warned.ts'

const CODE = 'RATETHROTTLE_MADE_PER_REQUEST'
const SCRIPT = join(process.cwd(), '__test__/adapters/made-per-request.mjs')
const told = warnings()

function serve(...args: string[]): Promise<{ warned: number; admitted: number }> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [SCRIPT, ...args], { timeout: 60_000 }, (error, out) => {
      if (error === null) resolve(JSON.parse(out))
      else reject(error)
    })
  })
}

test.each(['fastify', 'express', 'http', 'hono'])(
  '%s: a limiter made for each request causes one warning, one made at the start none',
  async (kind) => {
    const others = ['later in a request', 'at once, used later']
    const short = { fastify: others.slice(0, 1), http: others.slice(1) }[kind] ?? []
    const ways = ['per request', ...byLength(short, others)]
    const late = await Promise.all(ways.map((way) => serve(kind, way, '5')))
    expect(late).toEqual(ways.map(() => ({ warned: 1, admitted: 5 })))
    expect((await serve(kind, 'at start', '5')).warned).toBe(0)
  },
)

test('a hook made in a handler causes the warning in tests too', async () => {
  const script = `
    import Fastify from 'fastify'
    import rateThrottle from 'ratethrottle/fastify'
    let warned = 0
    process.on('warning', ({ code }) => { if (code === '${CODE}') warned++ })
    const app = Fastify()
    await app.register(rateThrottle, {})
    app.get('/', (request, reply) => {
      app.rateThrottle('1/minute')(request, reply, () => reply.send('ok'))
    })
    for (let i = 0; i < 5; i++) await app.inject('/')
    await new Promise((resolve) => setImmediate(resolve))
    console.log(warned)`
  const args = ['--input-type=module', '-e', script]
  const said = await new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 60_000 }, (_, out) => resolve(out.trim()))
  })
  expect(said).toBe('1')
})

test('many servers or many routes in a test suite cause no warning; the 1,000th child does', async () => {
  for (let i = 0; i < byLength(25, 50); i++) {
    const app = Fastify()
    await app.register(rateThrottle, { limits: '9/hour' })
    for (let route = 0; route < 24; route++) {
      const preHandler = app.rateThrottle('2/hour')
      app.get(`/${route}`, { config: { rateLimit: '1/hour' }, preHandler }, () => 'ok')
    }
    await app.inject('/0')
    await app.close()
  }
  expect(told.all.filter(({ code }) => code === CODE)).toEqual([])
  const limiter = forExpress({ limits: '1/hour' })
  for (let i = 0; i < 1_200; i++) limiter.limit({ limits: '1/minute', capacity: 10 })
  expect(await told.of(CODE)).toHaveLength(1)
  limiter.close()
})

test('children that the program has dropped are collected, though their limiter lives', async () => {
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const limiter = forExpress({ limits: '1/hour' })
  const app = Fastify()
  await app.register(rateThrottle, { limits: '1/hour' })
  const kept = [limiter.limit('1/minute'), app.rateThrottle('1/minute')]
  let gone = 0
  const registry = new FinalizationRegistry(() => {
    gone++
  })
  // A clock is held by the limiter that has it, and by nothing else.
  const clock = (): { now(): number } => {
    const made = { now: () => 0 }
    registry.register(made, undefined)
    return made
  }
  const make = (): void => {
    for (let i = 0; i < 20; i++) {
      limiter.limit({ limits: '1/minute', capacity: 10, clock: clock() })
      app.rateThrottle({ limits: '1/minute', capacity: 10, clock: clock() })
    }
  }
  make()
  for (let i = 0; i < 100 && gone < 36; i++) {
    collect()
    await pause(10)
  }
  expect(gone).toBeGreaterThanOrEqual(36)
  expect(kept).toHaveLength(2)
  limiter.close()
  await app.close()
})
