import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { inBatches } from '../../dist/remote/permits/backend.js'
import { LeaseKeeper } from '../../dist/remote/permits/keeper.js'
import { RemotePermit } from '../../dist/remote/permits/remote-permit.js'
import { until } from '../redis/faults.ts'

const LEASE_MS = 1_000

it('close renews nothing that it has given back, though only a part of what was due is renewed by then', async () => {
  const calls: string[] = []
  let answer = (): void => {}
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  const backend = {
    tier: 'store',
    isOrdered: true,
    status: { available: true, reason: undefined },
    batches: inBatches,
    release: async () => void calls.push('release'),
    renew: async (leases: readonly unknown[]) => {
      calls.push('renew')
      await answered
      return leases.map(() => true)
    },
  } as unknown as ConstructorParameters<typeof LeaseKeeper>[0]
  const keeper = new LeaseKeeper(backend, LEASE_MS, () => {})
  for (let i = 0; i < 3_000; i++) {
    const permit = new RemotePermit({ released: () => {} }, `k${i}`, `${i}`)
    permit.sent()
    permit.leased(performance.now() - LEASE_MS / 2, 60_000)
    keeper.add(permit)
  }
  await until(() => calls.length > 0)
  const renewals = calls.length
  const closed = keeper.close()
  answer()
  await closed
  await turn()
  expect(calls.filter((call) => call === 'renew')).toHaveLength(renewals)
  expect(calls.filter((call) => call === 'release').length).toBeGreaterThan(3_000 / 64)
})
