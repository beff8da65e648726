import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startLogins, storageFor } from './logins.ts'
import { ADAPTERS, serve } from './serve.ts'

for (const adapter of ADAPTERS) {
  test(`with a full table each denial is still answered 429, ${adapter}`, async () => {
    const options = {
      limits: '1/10 seconds',
      blockFor: ['1 minute', '1 hour'],
      capacity: 1,
      key: ({ headers, req }: { headers: Record<string, string>; req?: never }) =>
        headers?.['x-key'] ?? (req as unknown as { header(name: string): string }).header('x-key'),
    }
    const { ask } = await serve(adapter, options)
    const seen = new Set<number>()
    for (let i = 0; i < 60; i++) {
      for (let times = 0; times < 2; times++) {
        const { status, headers } = await ask('/', { headers: { 'x-key': `k${i}` } })
        seen.add(status)
        if (status === 429) expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      }
    }
    expect([...seen].sort()).toEqual([200, 429])
  })
}

for (const tier of ['shared', 'redis'] as const) {
  test(`processes share the steps, and none shortens the block of another, ${tier}`, async () => {
    const where = await storageFor(tier)
    const options = {
      limits: '1/second',
      algorithm: 'fixed-window',
      blockFor: ['1 second', '1 hour'],
      ...where,
      ...('deadlineMs' in where ? { localDenials: false } : {}),
    }
    const [a, b] = await Promise.all([startLogins(options), startLogins(options)])
    /** Sends requests until one is refused, and returns its wait. */
    const offend = async (server: typeof a) => {
      for (let i = 0; i < 100; i++) {
        const { status, retryAfter } = await server.login('good')
        if (status === 429) return retryAfter
      }
      return undefined
    }
    expect(await offend(a)).toBe(1)
    await sleep(1_500)
    // The second offence, wherever it happens, has the second step.
    expect(await offend(b)).toBeGreaterThan(3_500)
    for (const server of [a, b, a]) {
      const { status, retryAfter = 0 } = await server.login('good')
      expect(status).toBe(429)
      expect(retryAfter).toBeGreaterThan(3_000)
    }
    await sleep(1_500)
    expect(await a.login('good')).toMatchObject({ status: 429 })
  })
}
