import { describe, expect, test } from 'vitest'
import { probeAddon, run } from '../fixtures/child.ts'
import { freshName } from '../shared/place.ts'

const probe = { NAPI_RS_NATIVE_LIBRARY_PATH: probeAddon() }

/** Megabytes that were reported to V8, or that the process grew by, and how often V8 collected. */
interface Measured {
  readonly used: number
  readonly reserved: number
  readonly steady: number
  readonly closed: number
  readonly grownMb: number
}

async function measured(mode: string, options: object): Promise<Measured> {
  const { code, out, err } = await run('native/memory.mjs', [mode, JSON.stringify(options)], probe)
  expect(code, err).toBe(0)
  return JSON.parse(out)
}

// What was touched is read from /proc, and VmRSS too.
describe.runIf(process.platform === 'linux')('memory of the addon', () => {
  test.each([
    ['much used', '3000', {}],
    ['little used', '250', {}],
    ['with two names', '3000', { name: 'native memory #' }],
  ])(
    '300 limiters, %s and dropped, are collected because V8 knows their memory',
    async (_, calls, options) => {
      const { grownMb } = await measured(calls, options)
      // 300 tables of 250 pages are 300 MB, of all their pages 1,000.
      expect(grownMb).toBeLessThan(calls === '250' ? 200 : 400)
    },
  )

  test('V8 is told the memory that fifty limiters use, not what they reserve', async () => {
    const found = await measured('steady', {})
    expect(found.used).toBeGreaterThan(80)
    expect(found.used).toBeLessThan(200)
    expect(found.reserved).toBeLessThan(20)
    expect(found.steady).toBeLessThan(10)
    expect(found.closed).toBeLessThan(20)
  })

  test('V8 is told the memory that this process uses of shared tables', async () => {
    const found = await measured('steady', {
      shared: true,
      name: `${freshName()} #`,
      capacity: 20_000,
    })
    expect(found.used).toBeGreaterThan(15)
    expect(found.reserved).toBeLessThan(15)
    expect(found.closed).toBeLessThan(15)
  })
})
