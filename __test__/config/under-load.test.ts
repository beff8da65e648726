import { expect, test } from 'vitest'
import { run } from '../fixtures/child.ts'
import { byLength } from '../fixtures/long.ts'
import { SEED } from '../fixtures/random.ts'

const MEBIBYTE = 2 ** 20

test('good and broken files at random under load: no request without a limit, no limit above its bound', async () => {
  const reloads = byLength(40, 10_000)
  const flags = ['--expose-gc', '--no-warnings']
  const { code, out, err } = await run('config/reloads.mjs', [`${reloads}`, `${SEED}`], {}, flags)
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { mistaken, unlimited, above, admitted, taken, statuses, sizes, ...rest } = JSON.parse(out)
  console.log(`seed ${SEED}`, { mistaken, unlimited, admitted, taken, statuses, ...rest })
  expect({ mistaken, unlimited, above }).toEqual({ mistaken: 0, unlimited: 0, above: [] })
  expect(taken).toBeGreaterThan(reloads / 8)
  expect(admitted).toBeGreaterThan(50)
  expect(Object.keys(statuses).filter((status) => !['200', '420', '429'].includes(status))).toEqual(
    [],
  )
  if (reloads < 10_000) return
  // Only the long form has a figure of time, and a memory that had time to grow.
  expect(rest.swapMs.max).toBeLessThan(1)
  const [, , early, ...late] = sizes as { rss: number; heapUsed: number }[]
  const last = late.at(-1)
  expect((last?.heapUsed ?? 0) - (early?.heapUsed ?? 0)).toBeLessThan(8 * MEBIBYTE)
  expect((last?.rss ?? 0) - (early?.rss ?? 0)).toBeLessThan(64 * MEBIBYTE)
})
