import Fastify from 'fastify'
import { createLimiter, FakeClock, RateLimiter } from 'ratethrottle'
import rateThrottle from 'ratethrottle/fastify'
import { expect, it } from 'vitest'
import { freshName } from './place.ts'

const open = (options: object) => () => new RateLimiter('5/minute', options as never)
const created = (options: object) => () =>
  createLimiter({ limits: '5/minute', ...options } as never)

it('options that cannot be shared are refused, and the message names them', () => {
  expect(open({ shared: true })).toThrow('shared: true requires name')
  expect(open({ shared: true, name: 'x', clock: new FakeClock() })).toThrow('clock')
  expect(open({ shared: true, name: 'x', clock: Date })).toThrow(TypeError)
  for (const bad of [1, 'yes', null]) expect(open({ shared: bad, name: 'x' })).toThrow('shared')
  for (const bad of ['open', true, null, 5]) {
    expect(open({ shared: true, name: 'x', onMismatch: bad })).toThrow('onMismatch must be "error"')
  }
  expect(open({ onMismatch: 'private' })).toThrow('onMismatch requires shared: true')
  expect(created({ storage: 'memory:', shared: true, name: 'x' })).toThrow('memory:')
  expect(created({ storage: 'redis://127.0.0.1:1', shared: true, name: 'x' })).toThrow('shared')
})

it('a shared storage needs a name of 1 to 80 characters', () => {
  for (const bad of [
    'shared:',
    'shared',
    'shared://',
    `shared:${'x'.repeat(81)}`,
    'shared:\ud800',
  ]) {
    expect(created({ storage: bad })).toThrow(RangeError)
    expect(created({ storage: bad })).toThrow('storage must be "shared:" and a name')
  }
})

it('two limiters of one process with one name and different limits get an error', () => {
  const name = freshName()
  const first = open({ shared: true, name })()
  expect(() => new RateLimiter('6/minute', { shared: true, name })).toThrow(
    expect.objectContaining({ code: 'NAME_IN_USE' }),
  )
  first.close()
})

it('each budget of an adapter has its own shared table', async () => {
  const storage = `shared:${freshName()}`
  const serve = async () => {
    const app = Fastify()
    await app.register(rateThrottle, { limits: '4/hour', storage })
    app.get('/', () => 'ok')
    app.get('/few', { config: { rateLimit: '2/hour' } }, () => 'ok')
    const ask = async (url: string) => (await app.inject(url)).statusCode
    return { app, ask }
  }
  const { app, ask } = await serve()
  expect([await ask('/'), await ask('/few'), await ask('/few'), await ask('/few')]).toEqual([
    200, 200, 200, 429,
  ])
  await app.close()
})
