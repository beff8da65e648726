import express from 'express'
import Fastify from 'fastify'
import { rateThrottle as forExpress } from 'ratethrottle/express'
import forFastify from 'ratethrottle/fastify'
import { afterEach, expect, test } from 'vitest'
import { warnings } from '../fixtures/warned.ts'

const FAILED = 'RATETHROTTLE_FAILED'
const MISSING = 'RATETHROTTLE_KEY_MISSING'
const told = warnings()
afterEach(() => {
  told.all.length = 0
})

/** The statuses of two requests to a server with these options. */
async function ask(options: object): Promise<number[]> {
  const app = Fastify()
  await app.register(forFastify, { limits: '9/hour', ...options })
  app.get('/', () => 'ok')
  const seen = [(await app.inject('/')).statusCode, (await app.inject('/')).statusCode]
  await app.close()
  return seen
}

const failing = (error: unknown) => (): never => {
  throw error
}

/** Options with a function that fails, and what the warning must contain. */
const REASONS: Record<string, readonly [options: object, says: RegExp]> = {
  'a key function': [
    { key: failing(new TypeError('tenants is not iterable')) },
    /TypeError: tenants is not iterable/,
  ],
  'one that rejects': [{ key: async () => failing(new Error('no such user'))() }, /no such user/],
  'an error with a code': [
    { key: failing(Object.assign(new Error('the database is away'), { code: 'ECONNREFUSED' })) },
    /ECONNREFUSED.*the database is away/,
  ],
  'a skip function': [{ skip: failing(new Error('skip failed')) }, /skip failed/],
  'a limits function': [{ limits: failing(new Error('plan lookup failed')) }, /plan lookup failed/],
  'a plan that is none': [{ limits: () => undefined }, /limits function.*undefined/],
  'a plan that is no limit': [{ limits: () => '10/fortnight' }, /10\/fortnight/],
  'a cost function': [{ cost: failing(new Error('no cost')) }, /no cost/],
  'a cost that is none': [{ cost: () => Number.NaN }, /cost.*NaN/],
  'a key that is none': [{ key: () => ({}) }, /key function.*\[object\]/],
  'what is no error': [{ key: failing('just a text') }, /just a text/],
  'a slow function': [{ key: () => new Promise(() => {}), keyTimeoutMs: 20 }, /key function/],
}

test.each(Object.keys(REASONS))('%s: the warning names the first reason', async (name) => {
  const [options, says] = REASONS[name] as readonly [object, RegExp]
  await ask(options)
  const [warning, ...more] = await told.of(FAILED)
  expect(warning?.message ?? '').toMatch(says)
  expect(more).toEqual([])
})

test('the reason is bounded and printable, and has no secret and no address', async () => {
  const secrets = [
    'redis://user:hunter2@10.1.2.3:6379/0',
    'Authorization: Bearer hunter2.hunter2',
    'password=hunter2',
    'sk_live_hunter2hunter2hunter2hunter2',
    'from 2001:db8::7 and 198.51.100.7',
  ]
  for (const secret of secrets) {
    told.all.length = 0
    await ask({
      key: failing(new Error(`lookup failed\u001b[31m\n: ${secret} ${'x '.repeat(5_000)}`)),
    })
    const [warning] = await told.of(FAILED)
    const message = warning?.message ?? ''
    expect(message).toContain('lookup failed')
    expect(message).toMatch(/^[\x20-\x7e]{1,400}$/)
    expect(message).not.toMatch(/hunter2|2001:db8|198\.51|10\.1\.2/)
  }
})

test('a hook that throws causes a warning with the reason', async () => {
  await ask({ onAdmit: failing(new Error('metrics are away')) })
  const [warning] = await told.of('RATETHROTTLE_HOOK_FAILED')
  expect(warning?.message ?? '').toContain('metrics are away')
})

test('a key function without a key causes one warning, unless missingKey is set', async () => {
  for (const key of [() => undefined, () => null, () => '', async () => undefined]) {
    told.all.length = 0
    expect(await ask({ key })).toEqual([400, 400])
    const [warning, ...more] = await told.of(MISSING)
    expect(warning?.message ?? '').toMatch(/key function.*missingKey/)
    expect(more).toEqual([])
  }
  told.all.length = 0
  expect(await ask({ key: () => undefined, missingKey: 'deny' })).toEqual([400, 400])
  expect(await ask({ key: () => undefined, missingKey: 'shared' })).toEqual([200, 200])
  await new Promise((resolve) => setImmediate(resolve))
  expect(told.all).toEqual([])
})

test('a failing key function causes the warning in Express too', async () => {
  const app = express()
  app.use(forExpress({ limits: '9/hour', key: () => undefined }))
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(400)
  expect(await told.of(MISSING)).toHaveLength(1)
  server.closeAllConnections()
  server.close()
})
