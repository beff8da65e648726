import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { limiterForTest, load, sleep, until, untilExact } from './faults.ts'
import {
  freePort,
  GUARD,
  guardSettings,
  launch,
  type Server,
  serverForTest,
  untilListening,
} from './server.ts'

/** A Sentinel that watches one primary and fails over after half a second. */
async function startSentinel(primary: Server): Promise<number> {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'ratethrottle-sentinel-'))
  const file = join(directory, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor limits 127.0.0.1 ${primary.port} 1`,
    `sentinel auth-pass limits ${GUARD.password}`,
    'sentinel down-after-milliseconds limits 500',
    'sentinel failover-timeout limits 3000',
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  const child = await launch([file, '--sentinel'])
  onTestFinished(() => {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  await untilListening(port)
  return port
}

/** Another limiter on the same connection ends while its calls are under way. */
async function closeInFlight(url: string): Promise<void> {
  const limiter = limiterForTest('9/hour', { url, deadlineMs: 60_000 })
  await limiter.ready()
  const outcomes = Promise.allSettled([1, 2, 3, 4].map(() => limiter.check('k')))
  await limiter.close()
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ reason: { code: 'CLOSED' } })
}

it('under Sentinel the counts survive the death of the primary', async () => {
  const primary = await serverForTest(...guardSettings())
  const replica = await serverForTest(
    ...guardSettings(),
    '--replicaof',
    '127.0.0.1',
    String(primary.port),
  )
  await until(async () => (await replica.admin.info('replication')).includes('link_status:up'))
  const sentinel = await startSentinel(primary)
  const url = `redis+sentinel://${GUARD.user}:${GUARD.userPassword}@127.0.0.1:${sentinel}/limits`
  const limiter = limiterForTest('1000/hour', { url, algorithm: 'fixed-window' })
  await untilExact(limiter)
  const patient = limiterForTest('1000/hour', {
    url,
    algorithm: 'fixed-window',
    deadlineMs: 30_000,
  })
  for (let i = 0; i < 50; i++) await patient.check('counted')
  await closeInFlight(url)
  expect(patient.storeStatus()).toMatchObject({ available: true })
  // Sentinel asks its primary for replicas every ten seconds; until it knows one, it can't fail over.
  await sleep(500)
  await until(async () => {
    const replicas = await sentinelSees(sentinel)
    return replicas === 1
  })
  primary.signal('SIGKILL')
  const start = performance.now()
  const away = await load(limiter, { ms: 1_000, fault: 'Sentinel failover' })
  expect(away.errors).toBe(0)
  await untilExact(limiter)
  console.log(`Sentinel: exact again after ${Math.round(performance.now() - start)} ms`)
  // Replication is asynchronous, but there was time: nothing is forgotten.
  expect((await patient.peek('counted')).remaining).toBe(950)
})

async function sentinelSees(port: number): Promise<number> {
  const { Redis } = await import('ioredis')
  const client = new Redis(port, '127.0.0.1', { protocol: 2 })
  try {
    const replicas = (await client.call('SENTINEL', 'REPLICAS', 'limits')) as unknown[]
    return replicas.length
  } finally {
    client.disconnect()
  }
}
