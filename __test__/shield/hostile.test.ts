import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { FakeClock } from 'ratethrottle'
import { type Guard, type ShieldOptions, type ShieldOutcome, shield } from 'ratethrottle/shield'
import { describe, expect, it } from 'vitest'
import { type Random, randomFor } from '../fixtures/random.ts'
import { START } from './traffic.ts'

const run = promisify(execFile)
/** Bytes by which a process may grow that holds on to nothing. */
const NOISE = 16 * 2 ** 20
/** The space of young objects is of one size from the start. */
const FLAGS = ['--expose-gc', '--max-semi-space-size=2']

const CHARACTERS = [
  '0',
  '1',
  '9',
  'f',
  'g',
  ':',
  '.',
  '/',
  '%',
  '-',
  ' ',
  '\0',
  '\n',
  'é',
  '\ud800',
  '漢',
]
const ADDRESSES = [
  '127.0.0.1',
  '::1',
  '::ffff:203.0.113.9',
  'fe80::1%eth0',
  '255.255.255.255',
  '0.0.0.0',
  '::',
  'unix',
  '',
  '1.2.3.4.5',
  '999.1.1.1',
  '2001:db8::/64',
]
const OUTCOMES: readonly ShieldOutcome[] = [
  ...[200, 204, 301, 400, 401, 403, 404, 408, 418, 425, 429, 499, 500, 503],
  ...[0, -1, 1e9, 404.5, Number.NaN, Number.POSITIVE_INFINITY],
  'dropped',
]

function text(random: Random, most: number): string {
  const length = random.integer(0, most)
  let made = ''
  for (let i = 0; i < length; i++) made += random.pick(CHARACTERS)
  return made
}

const LONG = 'x'.repeat(100_000)

function address(random: Random): string {
  const chance = random.next()
  // One that is too fast.
  if (chance < 0.1) return '127.0.0.1'
  if (chance < 0.5)
    return `${random.integer(0, 255)}.${random.integer(0, 9)}.0.${random.integer(0, 9)}`
  if (chance < 0.8)
    return `2001:db8:${random.integer(0, 65_535).toString(16)}::${random.integer(0, 9)}`
  if (chance < 0.9) return random.pick(ADDRESSES)
  return chance < 0.999 ? text(random, 60) : LONG.slice(random.integer(0, 99_999))
}

/** One hostile step: all calls in any order, a settle perhaps before its decide. */
function step(guard: Guard, clock: FakeClock, random: Random): void {
  const path = random.chance(0.999) ? text(random, 12) : LONG
  const request = { ip: address(random), path, sensitive: random.chance(0.2) }
  if (random.chance(0.3)) guard.settle(request, random.pick(OUTCOMES))
  const { allowed, level, retryAfterMs, status, reasons } = guard.decide(request)
  const isRight =
    (allowed ? status === undefined && level < 2 : level >= 2 && retryAfterMs > 0) &&
    retryAfterMs >= 0 &&
    retryAfterMs <= 3_600_000 &&
    (level === 0) === (reasons.length === 0)
  if (!isRight) throw new Error(JSON.stringify({ allowed, level, retryAfterMs, status, reasons }))
  if (random.chance(0.7)) guard.settle(request, random.pick(OUTCOMES))
  if (random.chance(0.001)) guard.pardon(random.pick(ADDRESSES) || 'x')
  if (random.chance(0.2)) clock.advance(random.chance(0.001) ? 60_000 : random.integer(0, 6))
}

const { RATETHROTTLE_HOSTILE: given = '1000000' } = process.env
const MILLION = Number(given)

/** What flood.mjs prints. */
interface Flooded {
  readonly halfway: { readonly native: number; readonly heapUsed: number }
  readonly after: Flooded['halfway']
  readonly admitted: number
  readonly refused: number
  readonly top: number
}

describe('hostile requests', () => {
  const options: readonly (readonly [string, ShieldOptions])[] = [
    ['by default', {}],
    ['under pressure', { maxRate: '300/second' }],
    ['with few sources', { maxRate: '300/second', sources: 64 }],
  ]

  it.each(options)('%s: no error, answers that make sense, and bounded memory', (name, set) => {
    const random = randomFor(`hostile shield ${name}`)
    const clock = new FakeClock(START)
    const guard = shield({ mode: 'enforce', clock, ...set })
    const before = process.memoryUsage().external
    const calls = MILLION / options.length
    for (let i = 0; i < calls; i++) step(guard, clock, random)
    expect(process.memoryUsage().external - before).toBeLessThan(2 * 2 ** 20)
    const { admitted, refused, newcomerShare, blocked } = guard.state()
    expect(admitted + refused).toBeGreaterThanOrEqual(Math.floor(calls))
    expect(admitted + refused).toBeLessThanOrEqual(Math.ceil(calls))
    expect(refused).toBeGreaterThan(0)
    expect(newcomerShare).toBeGreaterThanOrEqual(0)
    expect(newcomerShare).toBeLessThanOrEqual(1)
    expect(blocked).toBeLessThanOrEqual(65_536)
    // Names are of addresses, whatever was sent.
    for (const { source, requestsPerMinute } of guard.top(1_000)) {
      expect(source).toMatch(/^[0-9a-f.:/]+$|^no address$/)
      expect(requestsPerMinute).toBeGreaterThanOrEqual(0)
    }
    guard.close()
  })

  it.each([[], ['1000/second']])(
    'from a million distinct sources take no memory %j',
    async (...rate) => {
      const args = [...FLAGS, '__test__/shield/flood.mjs', '1000000', ...rate]
      const { stdout } = await run(process.execPath, args)
      const said = JSON.parse(stdout) as Flooded
      // Half a million sources later.
      expect(said.after.native - said.halfway.native).toBeLessThan(NOISE)
      expect(said.after.heapUsed - said.halfway.heapUsed).toBeLessThan(NOISE)
      expect(said.admitted + said.refused).toBe(1_400_000)
      expect(said.top).toBe(1_000)
    },
  )
})
