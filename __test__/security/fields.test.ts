import { IncomingMessage, ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import { FakeClock } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { describe, expect, it } from 'vitest'
import { type Random, randomFor } from '../fixtures/random.ts'
import { ask } from '../http/client.ts'
import { FRAMEWORKS, serve } from '../http/serve.ts'
import { problemsOf } from './emitted.ts'

const { RATETHROTTLE_POLICIES: given } = process.env
const POLICIES = Number(given ?? 200_000)
const MAX_COUNT = 1_000_000

/** Printable ASCII, with more than its share of what could break out of a quoted string. */
function randomName(random: Random): string {
  const letters = ['"', '\\', ';', ',', '=', ' ', 'a', '"; r=999', '~', ':']
  const length = random.integer(1, 8)
  const pieces = Array.from({ length }, () =>
    random.chance(0.6) ? random.pick(letters) : String.fromCharCode(random.integer(0x20, 0x7e)),
  )
  return pieces.join('').slice(0, 64)
}

/** A limit with a count or a window at an edge, or anywhere. */
function randomLimit(random: Random): { count: number; windowMs: number } {
  const count = random.chance(0.2) ? random.pick([1, MAX_COUNT]) : random.integer(1, 1_000)
  const edges = [1, 999, 1_000, 1_001, 59_999, 60_000, 86_400_000, 315_360_000_000]
  const windowMs = random.chance(0.5) ? random.pick(edges) : random.integer(1, 10_000_000)
  return { count, windowMs }
}

/** Some counts over some windows are more than a state word holds, and refused at the start. */
function makeIfExact(options: Parameters<typeof rateThrottle>[0]) {
  try {
    return rateThrottle(options)
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_LIMIT' })
    return undefined
  }
}

/** The headers that a limiter sends with its nth answer. */
function answer(limiter: ReturnType<typeof rateThrottle>): Record<string, unknown> {
  const socket = Object.assign(new Duplex(), { remoteAddress: '127.0.0.1' })
  const request = new IncomingMessage(socket as never)
  const response = new ServerResponse(request)
  void limiter.admit(request, response)
  return response.getHeaders()
}

describe('headers of random policies (H112)', () => {
  it(`${POLICIES.toLocaleString('en')} policies are read back unchanged by an independent parser`, () => {
    const random = randomFor('policies')
    const algorithms = ['token-bucket', 'sliding-window', 'fixed-window'] as const
    for (let made = 0; made < POLICIES; ) {
      const limits = Array.from({ length: random.integer(1, 3) }, () => randomLimit(random))
      const policy = limits.map(() => randomName(random))
      const clock = new FakeClock(random.integer(0, 1e9))
      const algorithm = random.pick(algorithms)
      const options = { limits, policy, clock, algorithm, headers: 'both', capacity: 64 } as const
      const limiter = makeIfExact(options)
      if (limiter === undefined) continue
      for (let asked = 0; asked < 20; asked++) {
        const problems = problemsOf(answer(limiter), limits, policy)
        if (problems.length > 0) expect({ problems, limits, policy }).toEqual({})
        clock.advance(random.chance(0.1) ? random.integer(0, 1e9) : random.integer(0, 500))
        made += limits.length
      }
      limiter.close()
    }
  })

  it('figures are integers of at most 15 digits, for any limit', () => {
    const limits = [
      { count: 1e9, windowMs: 1_000 },
      { count: 1, windowMs: 315_360_000_000 },
    ]
    const limiter = rateThrottle({ limits, headers: 'both', capacity: 64 })
    for (let i = 0; i < 3; i++) expect(problemsOf(answer(limiter), limits)).toEqual([])
    limiter.close()
  })

  it('a name that is not printable ASCII stops the start', () => {
    for (const policy of ['naïve', 'a\r\nset-cookie: x', '\0', '', 'x'.repeat(65), '\u007f', 'é']) {
      expect(() => rateThrottle({ limits: '1/s', policy }), policy).toThrow(/policy/)
    }
  })
})

describe.each(FRAMEWORKS)('%s', (name) => {
  it('a name that looks like a second policy stays one name, over a socket too (H112)', async () => {
    const policy = 'a";r=999999;t=0, "b'
    const { port } = await serve(name, { limits: '1/minute', policy, headers: 'both' })
    for (let i = 0; i < 2; i++) {
      const { headers } = await ask(port)
      const limits = [{ count: 1, windowMs: 60_000 }]
      expect(problemsOf(headers, limits, [policy])).toEqual([])
    }
  })

  it('no header identifies the caller (H115)', async () => {
    const key = (): string => 'secret-caller'
    for (const headers of ['legacy', 'draft', 'both'] as const) {
      const { port } = await serve(name, { limits: '1/minute', key, headers, problem: true })
      for (let i = 0; i < 2; i++) {
        const answer = await ask(port)
        expect(JSON.stringify(answer)).not.toMatch(/pk=|secret|c2VjcmV0|127\.0\.0\.1/)
      }
    }
  })
})
