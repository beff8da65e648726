import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { rateThrottle } from 'ratethrottle/http'
import { expect, onTestFinished, test } from 'vitest'
import { warnings } from '../fixtures/warned.ts'
import { listen } from '../http/serve.ts'
import { serverForTest } from '../redis/server.ts'

const NOT_AWAITED = 'RATETHROTTLE_NOT_AWAITED'

// biome-ignore lint/suspicious/noExplicitAny: as in plain JavaScript
type Any = any
type Listener = (limiter: Any, request: IncomingMessage, response: ServerResponse) => unknown

/** A listener that forgets to await. */
const hasty: Listener = (limiter, request, response) => {
  if (!limiter.admit(request, response)) return
  response.end('served')
}
const careful: Listener = async (limiter, request, response) => {
  if (await limiter.admit(request, response)) response.end('served')
}

/** The statuses of `count` requests, and the warnings that came with them. */
async function seen(options: Any, listener: Listener, count = 4): Promise<[number[], string[]]> {
  const { all } = warnings()
  const limiter = rateThrottle({ limits: '2/hour', ...options })
  const base = await listen((request: IncomingMessage, response: ServerResponse) => {
    void listener(limiter, request, response)
  })
  const statuses: number[] = []
  for (let i = 0; i < count; i++) {
    const response = await fetch(base)
    await response.arrayBuffer()
    statuses.push(response.status)
  }
  const told = () => all.map(({ code }) => code).filter((code) => code === NOT_AWAITED)
  const isExpected = listener === hasty && statuses.every((status) => status === 200)
  for (let i = 0; i < 200 && isExpected && told().length === 0; i++) await later(undefined, 25)
  await later(undefined, 100)
  await limiter.close?.()
  return [statuses, told()]
}

const later = <T>(value: T, ms = 5): Promise<T> =>
  new Promise((resolve) => setTimeout(resolve, ms, value))

const SLOW: Record<string, () => Promise<Any>> = {
  Redis: async () => ({
    storage: (await serverForTest()).url,
    deadlineMs: 10_000,
    connectTimeoutMs: 60_000,
  }),
  'an async skip': async () => ({ skip: () => later(false) }),
  'async limits': async () => ({ limits: () => later('2/hour') }),
  'an async key': async () => ({ key: () => later('ada') }),
  'a cost that takes time': async () => ({ cost: () => later(1) }),
  'countWhen over Redis': async () => ({
    storage: (await serverForTest()).url,
    deadlineMs: 10_000,
    connectTimeoutMs: 60_000,
    countWhen: 'success',
  }),
}

for (const [name, options] of Object.entries(SLOW)) {
  test(`a listener that does not await admit causes one warning, with ${name}`, async () => {
    expect(await seen(await options(), hasty)).toEqual([[200, 200, 200, 200], [NOT_AWAITED]])
    const [statuses, told] = await seen(await options(), careful)
    expect([statuses, told]).toEqual([[200, 200, 429, 429], []])
  })
}

test('wrap, middleware and synchronous decisions cause no warning', async () => {
  const slow = { skip: () => later(false) }
  const wrapped: Listener = (limiter, request, response) =>
    limiter.wrap((_: Any, to: ServerResponse) => to.end('served'))(request, response)
  const between: Listener = (limiter, request, response) => {
    if (limiter.middleware === undefined) return wrapped(limiter, request, response)
    limiter.middleware(request, response, () => response.end('served'))
  }
  const all = [
    await seen({}, hasty),
    await seen(slow, wrapped),
    await seen(slow, between),
    // The control: that a warning is seen where there is one.
    await seen(slow, hasty),
  ]
  const quiet = [[200, 200, 429, 429], []]
  expect(all).toEqual([quiet, quiet, quiet, [[200, 200, 200, 200], [NOT_AWAITED]]])
})

const SERVER = `
import { createServer } from 'node:http'
import { rateThrottle } from 'ratethrottle/http'
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const limiter = rateThrottle({
  limits: '1/hour',
  skip: process.argv[1] === 'slow' ? async () => false : undefined,
  handler: async (_, response) => {
    await (process.argv[2] === '20' ? pause(20) : undefined)
    response.end('slow down')
  },
})
process.on('warning', ({ code }) => console.log(code))
const server = createServer((request, response) => {
  if (!limiter.admit(request, response)) return
  response.end('served')
})
server.listen(0, '127.0.0.1', async () => {
  for (let i = 0; i < 3; i++) console.log((await fetch('http://127.0.0.1:' + server.address().port)).status)
  await pause(200)
  console.log('alive')
  process.exit(0)
})
`

for (const mode of ['quick 0', 'quick 20', 'slow 0', 'slow 20']) {
  test(`an async handler behind a listener that does not await does not end the process, ${mode}`, async () => {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', SERVER, ...mode.split(' ')],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    let out = ''
    child.stdout.on('data', (data) => {
      out += data
    })
    const [code] = await once(child, 'close')
    const lines = out.trim().split('\n')
    expect({
      code,
      told: lines.filter((line) => line === NOT_AWAITED),
      last: lines.at(-1),
    }).toEqual({
      code: 0,
      told: [NOT_AWAITED],
      last: 'alive',
    })
  })
}
