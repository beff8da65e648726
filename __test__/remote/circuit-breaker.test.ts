import { StoreFailure } from 'ratethrottle/remote'
import { expect, onTestFinished, test, vi } from 'vitest'
import { CircuitBreaker } from '../../dist/remote/circuit-breaker.js'
import { PATIENCE } from '../fixtures/patience.ts'

/** A breaker whose server answers probes as `probes` says, in this order, and what it reported. */
function breakerOf(probes: readonly (number | Error)[], isAvailable = true) {
  const events: string[] = []
  const left = [...probes]
  const breaker = new CircuitBreaker(
    {
      shortestMs: 50,
      probe: async () => {
        events.push('probe')
        const answer = left.shift() ?? new StoreFailure('disconnected')
        if (typeof answer === 'number') return answer
        throw answer
      },
      opened: (_, { reason }) => events.push(`opened: ${reason}`),
      stayedOpen: (_, { reason }) => events.push(`stayed open: ${reason}`),
      closed: () => events.push('closed'),
    },
    isAvailable,
  )
  onTestFinished(() => breaker.stop())
  return { breaker, events }
}

const fail = (breaker: CircuitBreaker, times: number, givenMs = 50): void => {
  for (let i = 0; i < times; i++) breaker.failed(new StoreFailure('timeout'), givenMs)
}

test('two failures in a row leave the breaker closed, the third opens it', () => {
  const { breaker, events } = breakerOf([])
  fail(breaker, 2)
  expect(breaker.isAvailable).toBe(true)
  fail(breaker, 1)
  expect([breaker.isAvailable, events]).toEqual([false, ['opened: timeout']])
})

test('an answer in between begins the count of failures again', () => {
  const { breaker } = breakerOf([])
  fail(breaker, 2)
  breaker.succeeded(performance.now())
  fail(breaker, 2)
  expect(breaker.isAvailable).toBe(true)
})

test('calls with a longer deadline than the ones that timed out still pass', () => {
  const { breaker } = breakerOf([])
  fail(breaker, 3, 50)
  expect([50, 51].map((ms) => breaker.isAvailableWithin(ms))).toEqual([false, true])
})

test('a lost connection opens the breaker at once, for every deadline', () => {
  const { breaker } = breakerOf([])
  breaker.open(new StoreFailure('disconnected'))
  expect(breaker.isAvailableWithin(60_000)).toBe(false)
})

test('an open breaker probes the server, and closes when a probe is faster than the deadline', async () => {
  const { breaker, events } = breakerOf([new StoreFailure('disconnected'), 3])
  fail(breaker, 3)
  await vi.waitFor(() => expect(breaker.isAvailable).toBe(true), PATIENCE)
  expect(events).toEqual([
    'opened: timeout',
    'probe',
    'stayed open: disconnected',
    'probe',
    'closed',
  ])
})

test('a probe that is slower than the deadline lets only calls with a longer one pass', async () => {
  const { breaker, events } = breakerOf([200])
  fail(breaker, 3)
  await vi.waitFor(() => expect(events).toContain('stayed open: slow'), PATIENCE)
  expect([200, 201].map((ms) => breaker.isAvailableWithin(ms))).toEqual([false, true])
})

test('a stopped breaker probes no more and lets no call pass', async () => {
  const { breaker, events } = breakerOf([1, 1, 1])
  fail(breaker, 3)
  breaker.stop()
  breaker.probeNow()
  await new Promise((resolve) => setTimeout(resolve, 500))
  expect([breaker.isAvailableWithin(60_000), events]).toEqual([false, ['opened: timeout']])
})
