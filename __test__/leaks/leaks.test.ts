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

it('ten million calls of allow allocate nothing', async () => {
  const { code, out } = await run('leaks/allow.mjs', [], {}, GC)
  expect(code).toBe(0)
  const { grown, admitted } = JSON.parse(out)
  expect(admitted).toBeGreaterThan(100_000)
  expect(Math.abs(grown)).toBeLessThan(1_000_000)
})

it('a panic stops at the border, in every function', async () => {
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: probeAddon() }
  const { code, out } = await run('leaks/panic.mjs', [], env)
  expect(code).toBe(0)
  const lines = out.trim().split('\n')
  expect(lines.filter((line) => !line.endsWith(': INTERNAL'))).toEqual([])
  const functions = [
    'allow',
    'block',
    'check',
    'close',
    'peek',
    'refund',
    'renew',
    'reset',
    'standing',
    'stats',
    'stored check',
    'stored block',
  ]
  expect(lines.map((line) => line.replace(/:.*/, ''))).toEqual(expect.arrayContaining(functions))
})

it('a process with an open limiter ends by itself', async () => {
  const started = performance.now()
  const { code } = await run('fixtures/open.mjs')
  expect(code).toBe(0)
  expect(performance.now() - started).toBeLessThan(30_000)
})
