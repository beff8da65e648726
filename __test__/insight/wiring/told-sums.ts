import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { insight, type Report, type Series } from 'ratethrottle/insight'
import { expect } from 'vitest'
import { until } from '../../redis/faults.ts'

const require = createRequire(`${process.cwd()}/`)
const { Hosts } = require('./dist/insight/hosts.js')
const { RedisInsightSums } = require('./dist/redis/insight-sums.js')

interface Counts {
  admitted: number
  denied: number
}

/** A process, and what it has written down. */
interface Host {
  readonly child: ChildProcess
  readonly closed: Promise<unknown>
  /** The last that it has counted, and the last that it is certain to have told. */
  readonly counted: Counts
  readonly told: Counts
}

function startHost(url: string, name: string, shared: string, index: number): Host {
  const child = fork('__test__/insight/wiring/counting-host.mjs', [url, name, shared, `${index}`], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const host: Host = {
    child,
    closed: once(child, 'close'),
    counted: { admitted: 0, denied: 0 },
    told: { admitted: 0, denied: 0 },
  }
  let rest = ''
  child.stdout?.on('data', (data) => {
    const lines = (rest + String(data)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [word, admitted, denied] = line.split(' ')
      const counts = { admitted: Number(admitted), denied: Number(denied) }
      Object.assign(word === 'told' ? host.told : host.counted, counts)
    }
  })
  return host
}

/** What other hosts have told, as a host that counts nothing sees it. */
async function seen(url: string, name: string) {
  const view = insight()
  const hosts = new Hosts(
    new RedisInsightSums(url, undefined, name),
    {},
    {
      series: () => [],
      processes: () => 1,
      isUsed: () => true,
    },
  )
  await until(() => hosts.exchange(), 5_000)
  const report: Report = hosts.others.addTo(view.own.report({ since: '1 hour' }), 3_600_000)
  const hour: readonly Series[] = hosts.others.addToSeries([], 'hour', 2)
  hosts.close()
  view.close()
  return { report, hour }
}

/** With all that it has written. */
async function ended({ closed }: Host): Promise<void> {
  await closed
}

/** Four processes count, and two of them are killed. */
export async function proveSums(url: string, shared: string): Promise<void> {
  const name = `hosts ${process.pid} ${shared}`
  const hosts = [0, 1, 2, 3].map((i) => startHost(url, name, shared, i))
  await until(() => hosts.every(({ told }) => told.admitted + told.denied > 200), 30_000)
  const killed = hosts.slice(0, 2)
  for (const { child } of killed) child.kill('SIGKILL')
  await Promise.all(killed.map(ended))
  const rest = hosts.slice(2)
  for (const { child } of rest) child.send('over')
  await Promise.all(rest.map(ended))
  for (const { counted, told } of rest) expect(told).toEqual(counted)
  const { report, hour } = await seen(url, name)
  const sum = (of: readonly Counts[], what: keyof Counts) =>
    of.reduce((all, one) => all + one[what], 0)
  for (const what of ['admitted', 'denied'] as const) {
    const [least, most] = [hosts.map(({ told }) => told), hosts.map(({ counted }) => counted)]
    expect(report.totals[what]).toBeGreaterThanOrEqual(sum(least, what))
    // Besides the calls between the count and the line about it: two processes were killed.
    expect(report.totals[what]).toBeLessThanOrEqual(sum(most, what) + 2)
    const hours = hour.flatMap(({ points }) => points.map((point) => point[what]))
    expect(hours.reduce((all, one) => all + one, 0)).toBe(report.totals[what])
  }
  expect(report.limits.map((limit) => limit.name).sort()).toEqual([
    'api',
    'own 0',
    'own 1',
    'own 2',
    'own 3',
  ])
}
