import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { RateLimiter } from 'ratethrottle'
import { afterEach, expect, it, onTestFinished } from 'vitest'
import { ask } from '../../dist/control/client.js'
import { type Control, openControl } from '../../dist/control/server.js'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { fakeView } from './fake-view.mjs'
import { exchange, folder, serve } from './services.ts'

const controls: Control[] = []
afterEach(() => {
  for (const control of controls.splice(0)) control.close()
})

function open(options: object = {}): { path: string; limiter: RateLimiter } {
  const limiter = new RateLimiter('5/minute')
  onTestFinished(() => limiter.close())
  const view = fakeView(new Map([['api', limiter]]))
  const control = openControl(view, { path: folder(), ...options })
  controls.push(control)
  return { path: control.path, limiter }
}

const SHOW = '{"command":"show","key":"a"}\n'

it('commands act on the limiters of the process', async () => {
  const { path, limiter } = open()
  limiter.check('user:1', 5)
  const [used] = (await ask(path, { command: 'show', key: 'user:1' })).limits
  expect(used).toMatchObject({ limit: 'api', allowed: false, blocked: false, remaining: 0 })
  await ask(path, { command: 'reset', key: 'user:1' })
  expect(limiter.peek('user:1').remaining).toBe(5)
  await ask(path, { command: 'block', key: 'user:1', ms: 60_000 })
  expect(limiter.allow('user:1')).toBe(false)
  const [blocked] = (await ask(path, { command: 'show', key: 'user:1' })).limits
  expect(blocked).toMatchObject({ allowed: false, blocked: true, remaining: 0 })
  const pardoned = await ask(path, { command: 'pardon', key: 'user:1' })
  expect(pardoned).toEqual({ limits: [{ limit: 'api', key: 'user:1', done: true }] })
  expect(limiter.allow('user:1')).toBe(true)
})

it('pardon leaves what a key has used, unless it is blocked', async () => {
  const { path, limiter } = open()
  limiter.check('user:1', 5)
  const { limits } = await ask(path, { command: 'pardon', key: 'user:1' })
  expect(limits).toMatchObject([{ done: false }])
  expect(limiter.allow('user:1')).toBe(false)
})

it.each(['token-bucket', 'leaky-bucket'] as const)(
  'a block is told from an empty bucket, whatever was used before: %s',
  async (algorithm) => {
    const limiter = new RateLimiter('5/hour', { algorithm })
    onTestFinished(() => limiter.close())
    const control = openControl(fakeView(new Map([['api', limiter]])), { path: folder() })
    controls.push(control)
    const blocked = async (key: string) =>
      (await ask(control.path, { command: 'show', key })).limits[0]?.blocked
    for (let used = 0; used <= 4; used++) {
      const key = `used ${used}`
      if (used > 0) limiter.check(key, used)
      expect(await blocked(key), key).toBe(false)
      for (const ms of [1_000, 600_000, 1_500_000, 90_000_000]) {
        limiter.block(key, ms)
        expect(await blocked(key), `${key}, ${ms}`).toBe(true)
      }
    }
    for (let i = 0; i < 7; i++) limiter.check('empty')
    expect(await blocked('empty')).toBe(false)
    limiter.block('empty', 90_000_000)
    expect(await blocked('empty')).toBe(true)
  },
)

it.each([[['5/minute']], [['5/minute', '100/hour']], [['3/second', '5/minute', '100/hour']]])(
  'a block is told, and pardoned, while the clock goes on between two readings: %j',
  async (limits) => {
    let now = 1_700_000_000_000
    const limiter = new RateLimiter(limits, { clock: { now: () => now++ } })
    onTestFinished(() => limiter.close())
    const control = openControl(fakeView(new Map([['api', limiter]])), { path: folder() })
    controls.push(control)
    const blocked = async (key: string) =>
      (await ask(control.path, { command: 'show', key })).limits[0]?.blocked
    limiter.block('fresh', 600_000)
    for (let i = 0; i < 20; i++) limiter.check('used')
    if (limits.length > 1) expect(await blocked('used')).toBe(false)
    limiter.block('used', 600_000)
    for (const key of ['fresh', 'used']) {
      expect(await blocked(key), key).toBe(true)
      const { limits: done } = await ask(control.path, { command: 'pardon', key })
      expect(done, key).toMatchObject([{ done: true }])
      expect(limiter.allow(key), key).toBe(true)
    }
  },
)

it('figures are of this host where the insight also knows those of others', async () => {
  const { own, ...all } = viewOfHosts()
  const control = openControl({ ...all, own }, { path: folder() })
  controls.push(control)
  expect(await ask(control.path, { command: 'report', since: '1h' })).toMatchObject({ at: 1 })
  expect(await ask(control.path, { command: 'series', unit: 'minute' })).toMatchObject([{}])
})

/** All hosts have other figures than this one. */
function viewOfHosts() {
  const view = fakeView(new Map())
  const series = [{ limit: 'api', unit: 'minute', points: [] }] as const
  const report = (options: object) => ({ ...view.report(options), at: 1 })
  return { ...view, own: { report, series: () => series } }
}

it('an address is also blocked and pardoned by shields, and an IPv6 address by its network', async () => {
  const { path, limiter } = open()
  const block = { command: 'block', key: '2001:db8::1:2', ms: 60_000 } as const
  const { limits, shield } = await ask(path, block)
  expect(limits.map(({ key }) => key)).toEqual(['2001:db8::1:2', '2001:db8::/64'])
  expect(shield).toBe(true)
  expect(limiter.allow('2001:db8::/64')).toBe(false)
  expect(await ask(path, { command: 'pardon', key: block.key })).toMatchObject({ shield: true })
  expect(await ask(path, { command: 'pardon', key: block.key })).toMatchObject({ shield: false })
})

it('hostile lines are answered with an error, and the next line is served', async () => {
  const { path } = open()
  const hostile = [
    'GET / HTTP/1.1',
    '',
    'null',
    '[]',
    '"show"',
    '{"command":"toString"}',
    '{"command":"__proto__"}',
    '{"command":"show"}',
    '{"command":"show","key":{"toString":1}}',
    '{"command":"show","key":"\\ud800"}',
    '{"command":"block","key":"a","ms":1e999}',
    '{"command":"block","key":"a"}',
    '{"command":"show","key":"a","__proto__":{"ms":1}}',
    '{"command":"report","since":{"a":1}}',
    '{"command":"show","key":"a","limit":"\u001b[31m"}',
    '{"command":"reload"}',
    `${'['.repeat(30_000)}`,
  ]
  const answers = await exchange(path, `${hostile.join('\n')}\n${SHOW}`, hostile.length + 1)
  expect(answers.map((answer) => (answer as { ok: boolean }).ok)).toEqual([
    ...hostile.map(() => false),
    true,
  ])
  expect(JSON.stringify(answers)).not.toContain('\u001b')
})

it('a line in halves is answered, half a line is not, and one that is too long is cut off', async () => {
  const { path } = open()
  const socket = connect(path)
  socket.write(SHOW.slice(0, 9))
  await new Promise((resolve) => setTimeout(resolve, 20))
  socket.end(SHOW.slice(9) + SHOW.slice(0, 9))
  const [line] = await once(socket, 'data')
  expect(JSON.parse(line)).toMatchObject({ ok: true })
  await once(socket, 'close')
  expect(await exchange(path, `${'x'.repeat(65_537)}`, 2)).toMatchObject([
    { ok: false, error: { code: 'LENGTH' } },
  ])
  expect(await exchange(path, SHOW.repeat(1_000), 1_001)).toMatchObject([
    { ok: false, error: { code: 'BUSY' } },
  ])
  expect(await exchange(path, SHOW)).toMatchObject([{ ok: true }])
})

it('a client that has ended its side gets the answers that it waits for', async () => {
  const reload = () => new Promise<object>((resolve) => setTimeout(resolve, 50, { changed: 1 }))
  const { path } = open({ reload })
  const socket = connect(path)
  socket.end('{"command":"reload"}\n')
  const [line] = await once(socket, 'data')
  expect(JSON.parse(line)).toEqual({ ok: true, result: { changed: 1 } })
  await once(socket, 'close')
})

it('the seventeenth client is told why it is not served, and served when another has left', async () => {
  const { path } = open()
  const sockets: Socket[] = []
  for (let i = 0; i < 16; i++) {
    const socket = connect(path)
    sockets.push(socket)
    await once(socket, 'connect')
  }
  expect(await exchange(path, SHOW)).toMatchObject([{ ok: false, error: { code: 'BUSY' } }])
  sockets[0]?.destroy()
  await expect.poll(() => exchange(path, SHOW)).toMatchObject([{ ok: true }])
  for (const socket of sockets) socket.destroy()
})

it('a client that ends no line is cut off, however many bytes it sends', async () => {
  const { path } = open({ idleMs: 100 })
  const socket = connect(path)
  const sending = setInterval(() => socket.write('x'), 20)
  const [line] = await once(socket, 'data')
  expect(JSON.parse(line)).toMatchObject({ ok: false, error: { code: 'IDLE' } })
  clearInterval(sending)
  socket.destroy()
})

it('many clients at once do no harm: most are refused, and the next one is served', async () => {
  const { path } = await serve({ control: { path: folder() } })
  const answers = await Promise.all(Array.from({ length: byLength(250, 1_000) }, () => asked(path)))
  const served = answers.filter((answer) => answer === true).length
  expect(served).toBeGreaterThanOrEqual(16)
  expect(answers.filter((answer) => answer === undefined)).toEqual([])
  await expect.poll(() => exchange(path, SHOW)).toMatchObject([{ ok: true }])
})

/** Whether one of many clients was served; `undefined` when it got no answer. */
async function asked(path: string): Promise<boolean | undefined> {
  try {
    const [answer] = await exchange(path, SHOW)
    return (answer as { ok?: boolean } | undefined)?.ok
  } catch (error) {
    // The system's queue of those that wait to be let in is full, or the answer came before the request.
    return ['EAGAIN', 'EPIPE', 'ECONNRESET'].includes((error as { code: string }).code)
      ? false
      : undefined
  }
}

it('answers take a tenth of the time at most, however much is asked', async () => {
  const busy = { ...fakeView(new Map()), report: work }
  const control = openControl(busy, { path: folder() })
  controls.push(control)
  const began = performance.now()
  await exchange(control.path, '{"command":"report"}\n'.repeat(4), 4)
  // 40 ms of work, and a pause of nine times as long behind each of three.
  expect(performance.now() - began).toBeGreaterThan(300)
})

function work(): never {
  const until = performance.now() + 10
  while (performance.now() < until);
  throw new Error('done')
}

it('the socket does not keep a process alive, and goes with it', async () => {
  const asked = JSON.stringify({ control: { path: folder() }, leave: true })
  const { code, out } = await run('control/service.mjs', [asked])
  const { path, isReady } = JSON.parse(out) as { path: string; isReady: boolean }
  expect({ code, isReady }).toEqual({ code: 0, isReady: true })
  expect(existsSync(path)).toBe(false)
})

it.each([
  ['yes', 'control must be true or { path }'],
  [{ path: 1 }, 'control.path must be a string'],
  [{ path: join('/tmp', 'x'.repeat(120)) }, 'control.path must be a path of at most 103 bytes'],
  [{ paths: '/tmp/x' }, 'unknown option "paths"'],
  [{ reload: 'now' }, 'reload must be a function'],
])('options are checked: %j', (input, message) => {
  expect(() => openControl(fakeView(new Map()), input as never)).toThrow(message)
})
