import { FakeClock, RateLimiter } from 'ratethrottle'
import { type AlertNotification, alerts, insight } from 'ratethrottle/insight'
import { expect, it } from 'vitest'

// Rules on what real limiters do, counted by the core.

/** Seconds. */
const MINUTE = 60

it('tells of a limiter that denies, and of no key of a client', async () => {
  const clock = new FakeClock(1_000_000_000_000)
  const told: AlertNotification[] = []
  const watch = alerts({
    rules: [
      { when: 'denied.share > 0.2', limit: 'login', severity: 'critical' },
      { when: 'denied.share > 0.2', limit: 'api' },
      { when: 'dry.share > 0.2', limit: 'api' },
      { when: 'denied.rate > 5', name: 'many' },
      { when: 'requests.rate < 1' },
      { when: 'config.stale == 1' },
    ],
    notify: (notification) => {
      told.push(notification)
    },
    clock,
  })
  const view = insight({ alerts: watch, clock })
  const login = new RateLimiter('5/minute', { name: 'login', insight: view, clock })
  const api = new RateLimiter('1000/minute', { name: 'api', insight: view, clock })
  const seconds = async (count: number, calls: number) => {
    for (let i = 0; i < count; i++) {
      for (let n = 0; n < calls; n++) login.allow('secret@example.com')
      for (let n = 0; n < 10; n++) api.allow('203.0.113.7')
      clock.advance(1_000)
      await watch.step()
    }
  }
  await seconds(MINUTE, 0)
  expect(told).toEqual([])
  await seconds(MINUTE, 10)
  expect(told.map(({ rule, limit }) => [rule, limit])).toEqual([
    ['denied.share > 0.2', 'login'],
    ['many', null],
  ])
  await seconds(2 * MINUTE + 5, 0)
  expect(told.map(({ status }) => status)).toEqual(['fired', 'fired', 'resolved', 'resolved'])
  expect(JSON.stringify([told, watch.state()])).not.toMatch(/secret|203\.0\.113/)
  view.close()
  await seconds(2, 50)
  expect(told).toHaveLength(4)
})
