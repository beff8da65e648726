import { expect, it } from 'vitest'
import { probeAddon, run } from '../fixtures/child.ts'

const GC = ['--expose-gc']

it.each(['close', 'collect'])('10,000 limiters made and left to %s leak nothing', async (way) => {
  const { code, out, err } = await run('leaks/cycles.mjs', [way], {}, GC)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { heap, rss } = JSON.parse(out)
  // One limiter of these takes 66 KiB; ten thousand that stayed would be 640 MiB.
  expect(heap).toBeLessThan(1_024)
  expect(rss).toBeLessThan(16_384)
})

it('allow allocates nothing, about one key or many', async () => {
  const { code, out, err } = await run('leaks/allow.mjs', [], {}, ['--min-semi-space-size=16'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { many, one, admitted } = JSON.parse(out)
  expect(admitted).toBeGreaterThan(100_000)
  // Of 100,000 calls each. The least that V8 allocates is 8 bytes.
  expect(Math.abs(many)).toBeLessThan(20_000)
  expect(Math.abs(one)).toBeLessThan(20_000)
})

interface Provoked {
  readonly name: string
  readonly before?: string
  readonly panicking: string
  readonly after?: string
}

it('a panic in any native function becomes an error, and the next call works (H97)', async () => {
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: probeAddon() }
  const { code, out, err } = await run('leaks/panic.mjs', [], env)
  expect(code, err).toBe(0)
  const provoked: Provoked[] = JSON.parse(out)
  // napi-rs catches the panics of exports, our own code those of the functions that an export returns.
  const codeOf = (name: string) => (name.includes('().') ? 'INTERNAL' : 'GenericFailure')
  expect(provoked.filter(({ name, panicking }) => panicking !== codeOf(name))).toEqual([])
  expect(provoked.filter(({ before, after }) => before !== after)).toEqual([])
  expect(provoked.length).toBeGreaterThan(30)
})

it('a process with an open limiter ends by itself', async () => {
  const { code } = await run('fixtures/open.mjs')
  expect(code).toBe(0)
})
