import { FakeClock } from 'ratethrottle'
import { type Guard, type ShieldDecision, type ShieldOptions, shield } from 'ratethrottle/shield'

const clock = new FakeClock()
const options: ShieldOptions = {
  mode: 'enforce',
  maxRate: '1000/second',
  ceiling: '5/second',
  sensitive: ({ url }) => url === '/login',
  clock,
}
const guard: Guard = shield(options)

function main(): void {
  const statuses: (number | undefined)[] = []
  for (let i = 0; i < 20; i++) {
    const decision: ShieldDecision = guard.decide({ ip: '192.0.2.1', path: '/' })
    if (decision.allowed) guard.settle({ ip: '192.0.2.1' }, 200)
    statuses.push(decision.status)
  }
  guard.block('192.0.2.2', 60_000)
  const blockedMs = guard.isBlocked('192.0.2.2')
  console.log(`${statuses[0]} ${statuses[19]} ${blockedMs} ${guard.pardon('192.0.2.2')}`)
  guard.close()
}

main()
