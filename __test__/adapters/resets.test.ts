import { allOf, byHeader, byIp, firstOf } from 'ratethrottle/http'
import { expect, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { LISTENERS, type Options, resetSome, stay, type Transport, watch } from '../http/gone.ts'

const MOST = 40
const MANY = byLength(50, 200)
/** Express does not speak HTTP/2. */
const WITH_HTTP2 = ['Fastify 5', 'Hono', 'node:http']
const TRANSPORTS: readonly Transport[] = ['TCP', 'TLS', 'HTTP/2', 'HTTP/2 over TLS']
const CASES = Object.keys(LISTENERS).flatMap((adapter) =>
  TRANSPORTS.filter((name) => WITH_HTTP2.includes(adapter) || !name.startsWith('HTTP/2')).map(
    (transport) => ({ adapter, transport }),
  ),
)
const limits = `${MOST}/day`

for (const { adapter, transport } of CASES) {
  test(`${adapter}, ${transport}: a client that resets its connection does not count as a Unix-socket caller, and has no separate budget`, async () => {
    const keys = new Set<unknown>()
    const note = ({ key }: { key: unknown }): void => void keys.add(key)
    const trust = ['unix', '10.0.0.0/8']
    const watched = await watch(adapter, transport, { limits, trust, onAdmit: note, onDeny: note })
    await resetSome(watched, transport, MANY)
    expect(watched.unseen()).toBeGreaterThanOrEqual(MANY)
    const ran = watched.runs()
    expect(ran).toBeLessThanOrEqual(MOST)
    expect(await stay(transport, watched.port, MANY)).toBe(MOST - ran)
    expect(watched.runs()).toBe(MOST)
    expect([...keys]).toEqual(['127.0.0.1'])
  })

  test(`${adapter}, ${transport}: deny applies to a client that resets its connection`, async () => {
    const watched = await watch(adapter, transport, { limits, deny: '127.0.0.0/8' })
    await resetSome(watched, transport, MANY)
    expect(watched.unseen()).toBeGreaterThanOrEqual(MANY)
    expect(watched.runs()).toBe(0)
  })
}

/** Ways past the address of who asks. None of those who have none gets past. */
const WAYS: Record<string, Options> = {
  'the default': {},
  "missingKey: 'shared'": { missingKey: 'shared' },
  "missingKey: 'ip'": { key: () => undefined, missingKey: 'ip' },
  'firstOf, the address before a header': { key: firstOf(byIp(), byHeader('x-api-key')) },
  'allOf, the address and a header': { key: allOf(byHeader('x-api-key'), byIp()) },
  'a key function that fails': {
    key: () => {
      throw new Error('no')
    },
    onError: () => {},
  },
  'a key of any header': { key: byHeader('x-api-key') },
  allow: { allow: ['127.0.0.1', '10.0.0.0/8'] },
  skip: { skip: () => true },
  'a limits function': { limits: () => limits },
}

for (const adapter of Object.keys(LISTENERS)) {
  test.each(Object.keys(WAYS))(
    `${adapter}: no handler runs for a client that has disconnected: %s`,
    async (way) => {
      const watched = await watch(adapter, 'TCP', { limits, ...WAYS[way] })
      await resetSome(watched, 'TCP', MANY)
      expect(watched.unseen()).toBeGreaterThanOrEqual(MANY)
      const ran = watched.runs()
      // Those whose address could still be read are callers as any other.
      expect(ran).toBeLessThanOrEqual(watched.requests() - watched.unseen())
      const served = await stay('TCP', watched.port, MOST + 1)
      const isExempt = way === 'allow' || way === 'skip'
      expect(served).toBe(isExempt ? MOST + 1 : MOST - ran)
    },
  )
}
