import { insight } from 'ratethrottle/insight'
import { shield } from 'ratethrottle/shield'
import { expect, onTestFinished, test } from 'vitest'
import { Admission, CallGate } from '../../dist/calls/gate.js'
import { readGateOptions } from '../../dist/calls/gate-options.js'
import { warnings } from '../fixtures/warned.ts'

interface Call {
  readonly peer: string | undefined
  readonly headers?: Record<string, string>
  readonly ends?: ((status: number | undefined) => void)[]
}

const FACE = {
  peer: (call: Call) => call.peer,
  headers: (call: Call) => call.headers ?? {},
  route: () => 'ping',
  target: () => '/ping',
  onEnd: (call: Call, ended: (status: number | undefined) => void) => {
    call.ends?.push(ended)
    return () => {}
  },
}

function gateFor({ limits, concurrent, ...options }: Record<string, unknown>) {
  const gate = new CallGate<Call>(readGateOptions(options, []), FACE, 'pings')
  onTestFinished(() => gate.close())
  const limiters = limits || concurrent ? [gate.open({ limits, concurrent } as object, '')] : []
  const admit = (call: Call, more: object = {}) => gate.admit(call, { limiters, ...more })
  const name = async (call: Call, more: object = {}): Promise<string> => {
    const found = await admit(call, more)
    return found instanceof Admission ? `key ${found.key}` : `${found.code} ${found.statusCode}`
  }
  return { gate, admit, name }
}

const OVER = 'RATE_LIMIT_EXCEEDED 429'

test('calls are counted by the address of their socket, IPv6 by /64, whatever their headers say', async () => {
  const { name } = gateFor({ limits: '1/hour' })
  const forged = { headers: { 'x-forwarded-for': '203.0.113.7' } }
  expect(await name({ peer: '192.0.2.1', ...forged })).toBe('key 192.0.2.1')
  expect(await name({ peer: '192.0.2.1', headers: { 'x-forwarded-for': '203.0.113.8' } })).toBe(
    OVER,
  )
  expect(await name({ peer: '2001:db8:1:2::3' })).toBe('key 2001:db8:1:2::/64')
  expect(await name({ peer: '2001:db8:1:2:ffff::4' })).toBe(OVER)
  expect(await name({ peer: 'unix' })).toBe('key unix')
  // Its address is no longer known: it has left.
  expect(await name({ peer: undefined })).toBe('KEY_MISSING 400')
})

test('trust says whose headers count', async () => {
  const { name } = gateFor({ limits: '1/hour', trust: '10.0.0.0/8' })
  const via = (peer: string) => ({ peer, headers: { 'x-forwarded-for': '203.0.113.7' } })
  expect(await name(via('10.1.2.3'))).toBe('key 203.0.113.7')
  expect(await name(via('192.0.2.1'))).toBe('key 192.0.2.1')
})

test.each([
  [{ key: () => 'ada' }, 'key ada'],
  [{ key: async () => 7 }, 'key 7'],
  [{ key: () => undefined }, 'KEY_MISSING 400'],
  [{ key: () => undefined, missingKey: 'ip' }, 'key 192.0.2.1'],
  [{ key: () => undefined, missingKey: 'shared' }, 'key \0shared'],
  [{ key: failing, onError: () => {} }, 'key 192.0.2.1'],
  [{ key: failing, onError: () => {}, onKeyError: 'deny' }, 'RATE_LIMITER_FAILED 500'],
  [{ key: async () => failing(), onError: () => {} }, 'key 192.0.2.1'],
  [{ key: () => new Promise(() => {}), keyTimeoutMs: 5, onError: () => {} }, 'key 192.0.2.1'],
  [{ key: () => ({}), onError: () => {}, onKeyError: 'deny' }, 'RATE_LIMITER_FAILED 500'],
  [
    { key: () => 'x'.repeat(2 ** 21), onError: () => {}, onKeyError: 'deny' },
    'RATE_LIMITER_FAILED 500',
  ],
])('a key function is asked, and may fail: %#', async (options, expected) => {
  const { name } = gateFor({ limits: '1/hour', ...options })
  expect(await name({ peer: '192.0.2.1' })).toBe(expected)
})

function failing(): never {
  throw new Error('no database')
}

test('a key function that fails is warned about where no hook hears of it', async () => {
  const heard = warnings()
  const { name } = gateFor({ limits: '9/hour', key: failing })
  for (let i = 0; i < 3; i++) await name({ peer: '192.0.2.1' })
  expect(await heard.of('RATETHROTTLE_FAILED')).toHaveLength(1)
})

test('hooks hear of each decision, and in a dry run of each denial', async () => {
  const heard: string[] = []
  const hooks = {
    onAdmit: ({ key }: { key: string }) => heard.push(`admit ${key}`),
    onDeny: ({ key, dryRun }: { key: string; dryRun: boolean }) =>
      heard.push(`deny ${key} ${dryRun}`),
    onError: () => heard.push('error'),
  }
  const strict = gateFor({ limits: '1/hour', ...hooks })
  await strict.name({ peer: '192.0.2.1' })
  await strict.name({ peer: '192.0.2.1' })
  const dry = gateFor({ limits: '1/hour', dryRun: true, ...hooks })
  await dry.name({ peer: '192.0.2.1' })
  expect(await dry.name({ peer: '192.0.2.1' })).toBe('key 192.0.2.1')
  const a = '192.0.2.1'
  expect(heard).toEqual([`admit ${a}`, `deny ${a} false`, `admit ${a}`, `deny ${a} true`])
})

test('the shield is asked of each arrival by address, and told how each ended', async () => {
  const guard = shield({ mode: 'enforce' })
  onTestFinished(() => guard.close())
  const asked: string[] = []
  const { decide } = guard
  guard.decide = (request) => {
    asked.push(`${request.ip} ${request.path}`)
    return decide.call(guard, request)
  }
  const told: unknown[] = []
  const { settle } = guard
  guard.settle = (request, outcome) => {
    told.push(outcome)
    settle.call(guard, request, outcome)
  }
  const { name } = gateFor({ limits: '3/hour', shield: guard })
  const ends: ((status: number | undefined) => void)[] = []
  expect(await name({ peer: '192.0.2.1', ends })).toBe('key 192.0.2.1')
  expect(await name({ peer: '192.0.2.2', ends }, { isExempt: () => true })).toBe('key undefined')
  ends[0]?.(401)
  ends[1]?.(undefined)
  ends[1]?.(200)
  guard.block('192.0.2.1', 60_000)
  expect(await name({ peer: '192.0.2.1' })).toBe('ABNORMAL_USAGE 429')
  expect(asked).toEqual(['192.0.2.1 /ping', '192.0.2.2 /ping', '192.0.2.1 /ping'])
  expect(told).toEqual([401, 'dropped'])
})

test('an insight has a row for the limiter, and what became of calls by what they call', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  const { name } = gateFor({ limits: '2/hour', insight: view })
  for (let i = 0; i < 5; i++) await name({ peer: '192.0.2.1' })
  await name({ peer: '192.0.2.1' }, { isExempt: () => true })
  await name({ peer: undefined })
  const { limits, routes } = view.report()
  expect(limits).toMatchObject([{ name: 'pings', admitted: 2, denied: 3 }])
  expect(routes).toMatchObject([
    { route: 'ping', limit: 'pings', admitted: 2, denied: 3, exempt: 1, refused: 1 },
  ])
})

test('permits alone have a row for what became of calls', async () => {
  const view = insight()
  onTestFinished(() => view.close())
  const { admit, name } = gateFor({ concurrent: 1, insight: view })
  const entered = await admit({ peer: '192.0.2.1' })
  expect(await name({ peer: '192.0.2.1' })).toBe(OVER)
  if (entered instanceof Admission) entered.leave()
  expect(await name({ peer: '192.0.2.1' })).toBe('key 192.0.2.1')
  expect(view.report().routes).toMatchObject([{ route: 'ping', admitted: 2, denied: 1 }])
})

test('several limiters are entered all or none', async () => {
  const { gate } = gateFor({})
  const [first, second] = [
    gate.open({ limits: '5/hour' }, 'a'),
    gate.open({ limits: '1/hour' }, 'b'),
  ]
  const inside = gate.open({ concurrent: 2 }, 'c')
  const limiters = [inside, first, second]
  const ask = () => gate.admit({ peer: '192.0.2.1' }, { limiters })
  expect(await ask()).toBeInstanceOf(Admission)
  for (let i = 0; i < 9; i++) expect(await ask()).toHaveProperty('code', 'RATE_LIMIT_EXCEEDED')
  expect((await first.check('192.0.2.1', 0))?.remaining).toBe(4)
  expect(await inside.enter('192.0.2.1')).not.toBeInstanceOf(Error)
  expect(await inside.enter('192.0.2.1')).toBeInstanceOf(Error)
})

test('once closed, a gate refuses', async () => {
  const { gate, name } = gateFor({ limits: '5/hour', onError: () => {} })
  gate.close()
  expect(await name({ peer: '192.0.2.1' })).toBe('RATE_LIMITER_FAILED 500')
})
