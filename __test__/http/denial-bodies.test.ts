import { FakeClock } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { ADAPTERS, serve } from './serve.ts'

describe.each(ADAPTERS)('%s', (adapter) => {
  it('tells each wait of its own, also waits whose texts could be mistaken for each other', async () => {
    const clock = new FakeClock()
    // The bodies of denials are kept by their seconds, in 64 places.
    const { ask, statuses } = await serve(adapter, { limits: '1/200s', clock })
    expect(await statuses(1)).toEqual([200])
    for (const seconds of [200, 136, 72, 8]) {
      const { status, headers, body } = await ask('/')
      expect([status, headers['retry-after']]).toEqual([429, String(seconds)])
      expect(body).toContain(`in ${seconds} second`)
      clock.advance(64_000)
    }
  })
})
