import { alerts, insight, slack, webhook } from 'ratethrottle/insight'
import { expect, it } from 'vitest'
import { warnings } from '../../fixtures/warned.ts'
import { receiver, watching } from './alerts.ts'
import { FakeFigures } from './fake-figures.ts'

const RULE = { when: 'denied.share > 0.2', for: '10 seconds', min: 100 }

it('tells once that a rule has fired, and once that it is resolved', async () => {
  const { figures, watch, told, seconds } = watching({ rules: [{ ...RULE, limit: 'api' }] })
  await seconds(20, () => figures.add('api', { admitted: 100 }))
  expect(told).toEqual([])
  expect(watch.state().rules[0]).toMatchObject({ status: 'quiet', value: 0, since: undefined })
  const since = figures.clock.now()
  await seconds(20, () => figures.add('api', { admitted: 50, denied: 50 }))
  expect(told).toHaveLength(1)
  expect(watch.state().rules[0]).toMatchObject({ status: 'fired', value: 0.5 })
  await seconds(40, () => figures.add('api', { admitted: 100 }))
  expect(told).toHaveLength(2)
  expect(watch.state().rules[0]).toMatchObject({ status: 'quiet', since: undefined })
  const [fired, resolved] = told
  expect(fired).toEqual({
    version: 1,
    id: expect.stringMatching(/^[0-9a-f]{24}$/),
    dedupKey: expect.stringMatching(/^ratethrottle\/[0-9a-f]{16}$/),
    status: 'fired',
    rule: 'denied.share > 0.2',
    when: 'denied.share > 0.2',
    severity: 'warning',
    value: expect.closeTo(0.25, 5),
    threshold: 0.2,
    windowMs: 10_000,
    limit: 'api',
    host: 'host-1',
    since: since + 5_000,
    at: since + 5_000,
  })
  expect(resolved).toMatchObject({ status: 'resolved', value: 0, since: since + 5_000 })
  expect(resolved?.dedupKey).toBe(fired?.dedupKey)
  expect(resolved?.id).not.toBe(fired?.id)
})

it('is resolved a window after it has last held, however long it was quiet before', async () => {
  for (const quiet of [0, 1, 5, 6, 7, 8, 9, 10]) {
    const rule = { when: 'store.available == 0', for: '3 seconds' }
    const { figures, told, seconds } = watching({ rules: [rule] })
    const store = { limit: 'api', available: true, reason: undefined }
    figures.report_.stores = [store]
    await seconds(quiet)
    store.available = false
    await seconds(4)
    store.available = true
    await seconds(10)
    expect(told.map(({ at }) => at - (told[0]?.at ?? 0))).toEqual([0, 4_000])
  }
})

it('an input that flaps gives one of each in five minutes at most', async () => {
  const { figures, told, seconds } = watching({ rules: [{ ...RULE, for: '2 seconds' }] })
  await seconds(3_600, (second) => {
    const isDenied = Math.floor(second / 7) % 2 === 0
    figures.add('api', isDenied ? { denied: 100 } : { admitted: 100 })
  })
  expect(told.filter(({ status }) => status === 'fired').length).toBe(12)
  for (const one of told) {
    const alike = told.filter(({ status, at }) => {
      return status === one.status && Math.abs(at - one.at) < 300_000
    })
    expect(alike).toHaveLength(1)
  }
})

it('a rule that holds without requests does not fire because the process has just started', async () => {
  const { figures, watch, told, seconds } = watching({
    rules: [{ when: 'admitted.rate < 1', for: '10 seconds' }],
  })
  await seconds(5, () => figures.add('api', { admitted: 1 }))
  expect(watch.state().rules[0]?.status).toBe('pending')
  await seconds(30, () => figures.add('api', { admitted: 2 }))
  expect(told).toEqual([])
  await seconds(30)
  expect(told).toHaveLength(1)
})

it('a state must hold for the window', async () => {
  const { figures, told, seconds, watch } = watching({
    rules: [{ when: 'store.available == 0', for: '10 seconds', severity: 'critical' }],
  })
  const store = { limit: 'api', available: true, reason: undefined }
  figures.report_.stores = [store]
  await seconds(40, (second) => {
    store.available = second % 10 === 0
  })
  expect(told).toEqual([])
  store.available = false
  await seconds(12)
  expect(told).toEqual([
    expect.objectContaining({ status: 'fired', severity: 'critical', value: 0 }),
  ])
  store.available = true
  await seconds(12)
  expect(told).toHaveLength(2)
  expect(watch.state().rules[0]?.status).toBe('quiet')
})

it('does not look by itself where it has a clock, and looks once a second where it has none', async () => {
  const figures = new FakeFigures()
  let reads = 0
  const counting = {
    report: () => figures.report(),
    series: (options: { unit: 'second' }) => {
      reads++
      return figures.series(options)
    },
  }
  const notify = () => {}
  const still = alerts({ rules: [RULE], notify, clock: figures.clock, insight: counting })
  const own = new FakeFigures()
  let looks = 0
  const read = new Promise<void>((resolve) => {
    const moving = alerts({
      rules: [RULE],
      notify,
      insight: {
        report: () => own.report(),
        series: () => {
          looks++
          moving.close()
          resolve()
          return []
        },
      },
    })
  })
  await read
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  expect([reads, looks]).toEqual([0, 1])
  still.close()
})

it('warns once where it is blind: figures that fail, a limiter that is not there', async () => {
  const { of } = warnings()
  const { figures, watch, seconds } = watching({ rules: [{ ...RULE, limit: 'nope' }] })
  figures.add('api', { admitted: 1 })
  await seconds(130)
  const failing = alerts({
    rules: [RULE],
    notify: () => {},
    clock: figures.clock,
    insight: {
      report: () => figures.report(),
      series: () => {
        throw new Error('secret')
      },
    },
  })
  await failing.step()
  await failing.step()
  const view = insight()
  const late = alerts({ rules: [RULE], notify: () => {}, clock: figures.clock, insight: view })
  view.close()
  await late.step()
  const found = await of('RATETHROTTLE_ALERT_BLIND')
  expect(found.map(({ message }) => message)).toEqual([
    expect.stringContaining('names a limiter'),
    expect.stringContaining('could not be read'),
  ])
  expect(watch.state().rules[0]?.value).toBeUndefined()
})

it('makes few reports, which take long: ten in a window, and one in ten seconds', async () => {
  const { figures, seconds } = watching({ rules: [{ when: 'config.stale == 1', for: '1 hour' }] })
  let reports = 0
  const report = figures.report.bind(figures)
  figures.report = () => {
    reports++
    return report()
  }
  await seconds(100)
  expect(reports).toBe(10)
})

it('a time that is beyond all cells is a value that is not there', async () => {
  const { figures, told, seconds } = watching({
    rules: [{ when: 'store.p99 > 50', for: '5 seconds', min: 1 }],
  })
  const cells = [{ belowMs: Number.POSITIVE_INFINITY, count: 0 }]
  figures.report_.times.store = { cells }
  await seconds(1)
  figures.report_.times.store = { cells: [{ belowMs: Number.POSITIVE_INFINITY, count: 9 }] }
  await seconds(1)
  expect(told).toEqual([expect.objectContaining({ status: 'fired', value: null })])
})

it('a failed delivery is a warning once, and counted', async () => {
  const { of } = warnings()
  const { figures, watch, seconds } = watching({
    rules: [{ ...RULE, for: '1 second' }],
    cooldown: 0,
    notify: [
      () => Promise.reject(Object.assign(new Error('https://secret'), { code: 'EFAULT' })),
      () => {
        throw 'secret'
      },
    ],
  })
  await seconds(60, (second) =>
    figures.add('api', second % 6 < 3 ? { denied: 100 } : { admitted: 100 }),
  )
  const { deliveries } = watch.state()
  expect(deliveries[0]?.failed).toBeGreaterThan(10)
  expect(deliveries).toMatchObject([
    { channel: 'function', delivered: 0, last: { isDelivered: false, reason: 'EFAULT' } },
    { channel: 'function', delivered: 0, last: { isDelivered: false, reason: 'error' } },
  ])
  const found = await of('RATETHROTTLE_ALERT_FAILED')
  expect(found).toHaveLength(2)
  expect(JSON.stringify([found, watch.state()])).not.toContain('secret')
})

it('one channel that fails keeps no other from telling', async () => {
  const { url, got } = await receiver()
  const { figures, watch, seconds } = watching({
    rules: [RULE],
    notify: [
      webhook('http://127.0.0.1:1/', { secret: 's' }),
      webhook(url, { secret: 's' }),
      slack(url),
    ],
  })
  await seconds(3, () => figures.add('api', { denied: 100 }))
  expect(got).toHaveLength(2)
  expect(watch.state().deliveries).toMatchObject([
    { channel: 'webhook', failed: 1, last: { reason: 'ECONNREFUSED' } },
    { channel: 'webhook', delivered: 1 },
    { channel: 'slack', delivered: 1, last: { isDelivered: true, reason: undefined } },
  ])
})

const GOOD = { rules: [RULE], notify: () => {} }

it.each([
  [{ ...GOOD, rules: [] }, 'rules must be an array of 1 to 100 rules'],
  [{ ...GOOD, rules: Array.from({ length: 101 }, () => RULE) }, 'rules must be'],
  [{ ...GOOD, rules: 'denied.share > 0.2' }, 'rules must be'],
  [{ ...GOOD, rules: [RULE, RULE] }, 'rules[1] must be a rule that is not there yet'],
  [{ ...GOOD, rules: [RULE, 5] }, 'rules[1] must be a rule'],
  [{ rules: [RULE] }, 'notify must be webhook(...)'],
  [{ ...GOOD, notify: [] }, 'notify must be'],
  [{ ...GOOD, notify: 'https://user:password@hooks.example.com' }, 'notify must be'],
  [{ ...GOOD, cooldown: '2 days' }, 'cooldown must be 0, or at most 24 hours'],
  [{ ...GOOD, cooldown: -1 }, 'cooldown'],
  [{ ...GOOD, storage: 'memory:' }, 'storage must be a storage that processes share'],
  [{ ...GOOD, storage: 'mysql://user:password@db' }, 'storage must be'],
  [{ ...GOOD, storage: 'redis://127.0.0.1:1', keyPrefix: '{x}' }, 'keyPrefix'],
  [{ ...GOOD, insight: {} }, 'insight must be an insight'],
  [{ ...GOOD, clock: 5 }, 'clock must be'],
  [{ ...GOOD, name: '' }, 'name must be'],
  [{ ...GOOD, coolDown: 5 }, 'did you mean cooldown?'],
])('refuses %j', (options, message) => {
  const make = () => alerts(options as unknown as Parameters<typeof alerts>[0])
  expect(make).toThrow(message)
  try {
    make()
  } catch (error) {
    expect(String(error)).not.toContain('password')
  }
})

it('watches one insight, until it is closed', async () => {
  const figures = new FakeFigures()
  const watch = alerts({ ...GOOD, clock: figures.clock })
  await watch.step()
  expect(() => watch.watch({} as FakeFigures)).toThrow('figures must be an insight')
  watch.watch(figures)
  expect(() => watch.watch(figures)).toThrow('watch must be called once, got a call after another')
  watch.close()
  watch.close()
  await watch.step()
})
