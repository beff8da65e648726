import { allOf } from 'ratethrottle/express'
import { FakeClock } from 'ratethrottle/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Answer, ask, repeat, statuses } from '../http/client.ts'
import { FRAMEWORKS, type Options, type Place, serve } from '../http/serve.ts'

const SECRET = 'db down at 10.1.2.3'
/** Every way in which a function of the user's can fail. */
const FAILURES: readonly [string, () => unknown][] = [
  [
    'throws',
    () => {
      throw new Error(SECRET)
    },
  ],
  [
    'throws no error',
    () => {
      throw SECRET
    },
  ],
  ['rejects', () => Promise.reject(new Error(SECRET))],
  ['rejects with nothing', () => Promise.reject()],
  ['never settles', () => new Promise(() => {})],
  ['settles too late', () => new Promise((_, reject) => setTimeout(reject, 60, new Error(SECRET)))],
  [
    'returns a thenable that calls back twice and throws',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: the point of it
      then(_: unknown, reject: (error: Error) => void) {
        reject(new Error(SECRET))
        reject(new Error(SECRET))
        throw new Error(SECRET)
      },
    }),
  ],
  [
    'returns an object whose then throws',
    () => ({
      // biome-ignore lint/suspicious/noThenProperty: the point of it
      get then(): never {
        throw new Error(SECRET)
      },
    }),
  ],
]
/** All that a refusal may say, whatever went wrong: without the headers that tell when. */
const BODIES: Readonly<Record<number, string>> = {
  400: 'Client could not be identified',
  403: 'Address not allowed',
  429: 'Rate limit exceeded, retry in 86400 seconds',
  500: 'The rate limit of this request could not be checked',
}

const crashes: unknown[] = []
const onCrash = (error: unknown): number => crashes.push(error)
const tick = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
beforeEach(() => {
  process.on('unhandledRejection', onCrash)
  process.on('uncaughtException', onCrash)
})
afterEach(async () => {
  await tick()
  process.off('unhandledRejection', onCrash)
  process.off('uncaughtException', onCrash)
  expect(crashes.splice(0)).toEqual([])
})

function isConstant({ status, body }: Answer): void {
  const { message, statusCode, code, ...rest } = JSON.parse(body)
  expect([message, statusCode]).toEqual([BODIES[status], status])
  expect(code).toMatch(/^[A-Z_]+$/)
  // Fastify's own name of the status.
  expect(Object.keys(rest).every((name) => name === 'error')).toBe(true)
}

describe.each(FRAMEWORKS)('%s', (name) => {
  const start = (options: Options, around?: Place) =>
    serve(
      name,
      {
        limits: '2/day',
        algorithm: 'fixed-window',
        clock: new FakeClock(),
        keyTimeoutMs: 20,
        ...options,
      },
      around,
    )

  it.each(FAILURES)(
    'a key function that %s: the address is the key, or 500; a skip that does so exempts no request (H84)',
    async (_, fail) => {
      let told = 0
      const onError = (): number => told++
      const byAddress = await start({ key: fail, onError })
      expect(await statuses(byAddress.port, 3)).toEqual([200, 200, 429])
      const refusing = await start({ key: fail, onKeyError: 'deny', onError })
      expect(await statuses(refusing.port, 2)).toEqual([500, 500])
      const skipping = await start({ skip: fail, onError })
      expect(await statuses(skipping.port, 3)).toEqual([200, 200, 429])
      expect([refusing.runs(), told]).toEqual([0, 8])
    },
  )

  it.each(FAILURES)(
    'limits or a cost function that %s: 500 without details, and the handler does not run (H84, H113)',
    async (_, fail) => {
      for (const options of [{ limits: fail }, { cost: fail }]) {
        const { port, runs } = await start({ ...options, onError: () => {} })
        for (let i = 0; i < 3; i++) {
          const answer = await ask(port)
          expect(answer.status).toBe(500)
          isConstant(answer)
        }
        expect(runs()).toBe(0)
      }
    },
  )

  it('hooks that throw or reject change no response and do not end the process (H85)', async () => {
    for (const [, fail] of FAILURES) {
      const hooks = { onAdmit: fail, onDeny: fail, onError: fail } as Options
      const { port } = await start({ ...hooks, skip: fail })
      expect(await statuses(port, 3)).toEqual([200, 200, 429])
    }
  })

  it('a request counts if its outcome function throws or rejects, and the process goes on (H85)', async () => {
    for (const [, fail] of FAILURES) {
      const { port } = await start({ countWhen: fail as never, onError: () => {} })
      expect(await statuses(port, 3)).toEqual([200, 200, 429])
    }
  })

  it('a key of which one part throws and another rejects does not end the process (H85)', async () => {
    const parts = FAILURES.map(([, fail]) => fail as never)
    const { port } = await start({ key: allOf(...parts.reverse()), onError: () => {} })
    expect(await statuses(port, 3)).toEqual([200, 200, 429])
    const other = await start({ key: allOf(FAILURES[2]?.[1] as never, FAILURES[0]?.[1] as never) })
    expect(await statuses(other.port, 3)).toEqual([200, 200, 429])
  })

  it('a refusal handler that throws or rejects leaves a refusal (H85)', async () => {
    const thrown = [undefined, null, 0, '', false, 'route', 'router', SECRET]
    const throwing = thrown.map((value) => () => {
      throw value
    })
    const rejecting = thrown.map((value) => () => Promise.reject(value))
    for (const fail of [...throwing, ...rejecting]) {
      const { port, runs } = await start({ handler: fail, onError: () => {} })
      expect(await statuses(port, 3)).toEqual([200, 200, 429])
      expect(runs()).toBe(2)
    }
  })

  it('every refusal has one of four bodies (H113)', async () => {
    const { port } = await start({ deny: '127.0.0.9', key: keyOf }, { host: '0.0.0.0' })
    const asks = (user: string, from = '127.0.0.2') =>
      ask(port, { from, headers: { 'x-user': user } })
    await asks('<img onerror>')
    await asks('<img onerror>')
    for (const answer of [
      await asks('<img onerror>'),
      await asks(''),
      await asks('a', '127.0.0.9'),
    ]) {
      isConstant(answer)
    }
  })

  it('with headers: false an existing account in use and an unknown one get byte-identical answers (H114)', async () => {
    const login = { path: '/', run: () => ({ status: 401, body: 'no' }) }
    const { port } = await start(
      { key: keyOf, headers: false, limits: '5/day' },
      { routes: [login] },
    )
    const tries = async (user: string): Promise<string[]> => {
      const answers: string[] = []
      for (let i = 0; i < 7; i++) {
        const { headers, ...answer } = await ask(port, { headers: { 'x-user': user } })
        const { date: _date, ...others } = headers
        answers.push(JSON.stringify({ ...answer, others }))
      }
      return answers
    }
    expect(await tries('root')).toEqual(await tries('nobody'))
  })

  it('10,000 denials, forged headers and failing hooks log one line of each kind (H117)', async () => {
    const lines: string[] = []
    const onWarning = (warning: Error & { code?: string }): number => lines.push(warning.code ?? '')
    process.on('warning', onWarning)
    const onDeny = (): void => {
      throw new Error(SECRET)
    }
    const { port } = await start({ onDeny }, { proxy: true })
    const headers = { 'x-forwarded-for': '1.2.3.4 forged' }
    await Promise.all(repeat(20, () => statuses(port, 50, { headers })))
    await tick()
    process.off('warning', onWarning)
    const ours = lines.filter((code) => code.startsWith('RATETHROTTLE'))
    expect(ours.length).toBe(new Set(ours).size)
    expect(ours).toContain('RATETHROTTLE_HOOK_FAILED')
  })
})

function keyOf(request: { headers: Record<string, unknown> }): string {
  return String(request.headers['x-user'])
}
