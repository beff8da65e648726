import { rateThrottle } from 'ratethrottle/http'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { listen } from './serve.ts'

const warnings: (string | undefined)[] = []
const note = (warning: Error & { code?: string }): void => void warnings.push(warning.code)
beforeEach(() => {
  warnings.length = 0
  process.on('warning', note)
})
afterEach(() => void process.off('warning', note))

const stray = async (): Promise<number> => {
  await new Promise(setImmediate)
  return warnings.filter((code) => code === 'RATETHROTTLE_STRAY_FORWARDED_FOR').length
}
const FORWARDED = { headers: { 'x-forwarded-for': '198.51.100.1' } }

it('an X-Forwarded-For without a trusted proxy causes one warning, also long after the first requests', async () => {
  const limiter = rateThrottle({ limits: '10000/hour' })
  const base = await listen(limiter.wrap((_, response) => void response.end('done')))
  // A proxy that is put before a server while it runs: it has served more requests than are checked at first.
  for (let i = 0; i < 100; i++) await fetch(base)
  expect(await stray()).toBe(0)
  let asked = 0
  while (asked < 600 && (await stray()) === 0) {
    await fetch(base, FORWARDED)
    asked++
  }
  expect([asked <= 256, await stray()]).toEqual([true, 1])
  for (let i = 0; i < 300; i++) await fetch(base, FORWARDED)
  expect(await stray()).toBe(1)
})

it('each of the first requests is checked for the header', async () => {
  const limiter = rateThrottle({ limits: '10000/hour' })
  const base = await listen(limiter.wrap((_, response) => void response.end('done')))
  for (let i = 0; i < 63; i++) await fetch(base)
  expect(await stray()).toBe(0)
  await fetch(base, FORWARDED)
  expect(await stray()).toBe(1)
})
