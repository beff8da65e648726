import { expect, onTestFinished, test } from 'vitest'
import { Deadlines } from '../../dist/remote/deadlines.js'

/** A list of calls that are due `ms` after they came. */
function deadlinesForTest(ms: number): Deadlines {
  const deadlines = new Deadlines(ms)
  onTestFinished(() => deadlines.cutOff())
  return deadlines
}

/** Adds a call that is due `ms` from now, and calls `expire` when its time is up. */
function addCall(deadlines: Deadlines, ms: number, expire: () => void = () => {}) {
  const now = performance.now()
  const call = {
    settled: false,
    dueAt: now + ms,
    expire: () => {
      call.settled = true
      expire()
    },
    cutOff: () => {
      call.settled = true
    },
  }
  deadlines.add(call, now)
  return call
}

test('a call expires although the timer was set for one that has settled', async () => {
  const deadlines = deadlinesForTest(30)
  for (let i = 0; i < 1_000; i++) addCall(deadlines, 30).settled = true
  await new Promise<void>((resolve) => addCall(deadlines, 30, resolve))
})

test('a call whose caller came earlier expires before the calls that came before it', async () => {
  const deadlines = deadlinesForTest(600_000)
  addCall(deadlines, 600_000)
  await new Promise<void>((resolve) => addCall(deadlines, 20, resolve))
})

test('after the timer has fired for nothing, the next call sets it again', async () => {
  const deadlines = deadlinesForTest(10)
  addCall(deadlines, 10).settled = true
  await new Promise<void>((resolve) => addCall(deadlinesForTest(60), 60, resolve))
  await new Promise<void>((resolve) => addCall(deadlines, 10, resolve))
})

test('every call expires once, whatever has settled among them', async () => {
  const deadlines = deadlinesForTest(20)
  const expired: number[] = []
  const due = Array.from({ length: 2_000 }, (_, i) => i).filter((i) => i % 3 === 0)
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 2_000; i++) {
      const call = addCall(deadlines, 20, () => {
        if (expired.push(i) === due.length) resolve()
      })
      if (i % 3 !== 0) call.settled = true
    }
  })
  expect(expired).toEqual(due)
})
