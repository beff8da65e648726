import { FakeClock, type RateLimiter } from 'ratethrottle'
import { expect, it } from 'vitest'
import { Agenda, Later, Refused } from '../../dist/wait-queue/line.js'
import { WaitQueue } from '../../dist/wait-queue.js'
import { randomFor } from '../fixtures/random.ts'

type Decision = ReturnType<RateLimiter['check']>

const YES: Decision = {
  allowed: true,
  limit: 1,
  remaining: 0,
  resetMs: 1,
  limitResetMs: 1,
  retryAfterMs: 0,
  retryAfter: 0,
  policy: 0,
}
const NO: Decision = { ...YES, allowed: false, retryAfterMs: 100, retryAfter: 1 }
const LATER = new Later(NO, 100, 1, () => 1)

/** A queue whose calls the test answers, in order. */
function remote(caps = {}) {
  const clock = new FakeClock()
  const questions: ((answer: Decision | Later | Error) => void)[] = []
  const asked: number[] = []
  const back: number[] = []
  const source = {
    ask: (_: unknown, __: string, cost: number) =>
      new Promise<Decision | Later>((resolve, reject) => {
        asked.push(cost)
        questions.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)))
      }),
    peek: (_: unknown, __: string, cost: number) =>
      cost > 9 ? { ...NO, retryAfterMs: Number.POSITIVE_INFINITY } : NO,
    aged: (_: unknown, denial: Decision) => denial,
    giveBack: (_: unknown, __: string, cost: number, answer: Decision) => {
      if (answer.allowed) back.push(cost)
      return answer
    },
  }
  const all = { clock, maxWaitersPerKey: 100, maxWaiters: 100, ...caps }
  const queue = new WaitQueue<Decision, string>(source, all)
  const answer = async (...answers: (Decision | Later | Error)[]) => {
    for (const one of answers) {
      questions.shift()?.(one)
      for (let i = 0; i < 10; i++) await Promise.resolve()
    }
  }
  return { clock, queue, asked, back, answer }
}

function leaver() {
  const caller = {
    isGone: false,
    leave: () => {},
    watch: (gone: () => void) => {
      caller.leave = () => {
        caller.isGone = true
        gone()
      }
      return () => {
        caller.leave = () => {}
      }
    },
  }
  return caller
}

it('queues with one room share maxWaiters, and a waiter that leaves makes room in all', async () => {
  const room = { taken: 0 }
  const [one, other] = [remote({ maxWaiters: 2, room }), remote({ maxWaiters: 2, room })]
  const wait = async ({ queue, answer }: typeof one, key: string, caller = leaver()) => {
    const waiting = queue.join('limits', key, 1, 1_000, caller)
    await answer(LATER)
    return { waiting }
  }
  const first = leaver()
  await wait(one, 'a', first)
  await wait(other, 'b')
  expect(room.taken).toBe(2)
  expect(await (await wait(other, 'c')).waiting).toMatchObject({ reason: 'crowded' })
  first.leave()
  expect(room.taken).toBe(1)
  await wait(one, 'd')
  expect(room.taken).toBe(2)
})

it('a queue has one call in progress, and the waiters behind it stay in order', async () => {
  const { queue, clock, asked, answer } = remote()
  const order: number[] = []
  const join = (cost: number) =>
    Promise.resolve(queue.join('limits', 'k', cost, 1_000)).then(() => order.push(cost))
  const first = join(1)
  await answer(LATER)
  const others = [join(1), join(1)]
  expect([queue.size, queue.keys]).toEqual([3, 1])
  clock.advance(100)
  expect(asked).toEqual([1, 1])
  queue.wake('k')
  queue.wake('k')
  expect(asked).toHaveLength(2)
  await answer(YES)
  await first
  expect(asked).toHaveLength(3)
  await answer(YES, YES)
  await Promise.all(others)
  expect(order).toEqual([1, 1, 1])
  expect([queue.size, queue.keys]).toEqual([0, 0])
})

it('a waiter that is woken during its call calls once more', async () => {
  const { queue, clock, asked, answer } = remote()
  const waiting = queue.join('limits', 'k', 1, 1_000)
  await answer(LATER)
  clock.advance(100)
  queue.wake('k')
  await answer(LATER)
  expect(asked).toHaveLength(3)
  await answer(YES)
  expect(await waiting).toBe(YES)
})

it('a charge for a waiter that has left is refunded', async () => {
  const { queue, clock, back, answer } = remote()
  const [early, late] = [leaver(), leaver()]
  const first = queue.join('limits', 'k', 2, 1_000, early)
  early.isGone = true
  await answer(YES)
  expect(await first).toMatchObject({ reason: 'gone' })
  expect(back).toEqual([2])
  const second = queue.join('limits', 'k', 3, 1_000, late)
  await answer(LATER)
  const third = queue.join('limits', 'k', 3, 1_000)
  clock.advance(100)
  late.leave()
  expect(await second).toMatchObject({ reason: 'gone' })
  await answer(YES)
  expect(back).toEqual([2, 3])
  // The next waiter calls at once.
  await answer(YES)
  expect(await third).toBe(YES)
})

it('at the deadline the call in progress decides, and the other waiters are refused', async () => {
  for (const decided of [YES, LATER]) {
    const { queue, clock, answer } = remote()
    const head = queue.join('limits', 'k', 1, 150)
    await answer(LATER)
    const behind = queue.join('limits', 'k', 1, 150)
    clock.advance(100)
    clock.advance(50)
    expect(await behind).toMatchObject({ reason: 'late' })
    await answer(decided)
    const outcome = await head
    expect(outcome instanceof Refused).toBe(decided === LATER)
    expect(queue.size).toBe(0)
  }
})

it('an error rejects the waiter that called, and the next waiter calls', async () => {
  const { queue, clock, answer } = remote()
  const head = Promise.resolve(queue.join('limits', 'k', 1, 1_000))
  await answer(LATER)
  const behind = queue.join('limits', 'k', 1, 1_000)
  const failed = expect(head).rejects.toThrow('broken')
  clock.advance(100)
  await answer(new Error('broken'), YES)
  await failed
  expect(await behind).toBe(YES)
})

it('a cost that is never admitted does not wait behind other waiters', async () => {
  const { queue, answer } = remote()
  void queue.join('limits', 'k', 1, 1_000)
  await answer(LATER)
  const refused = await queue.join('limits', 'k', 10, 1_000)
  expect(refused).toMatchObject({ decision: { retryAfterMs: Number.POSITIVE_INFINITY } })
  expect(queue.size).toBe(1)
})

it('the maximums hold for a key and in total, with any limits', async () => {
  const { queue, answer } = remote({ maxWaitersPerKey: 2, maxWaiters: 3 })
  const waiting = [queue.join('limits', 'a', 1, 1_000)]
  await answer(LATER)
  waiting.push(queue.join('other limits', 'a', 1, 1_000))
  expect(queue.join('limits', 'a', 1, 1_000)).toMatchObject({ reason: 'crowded-key' })
  waiting.push(queue.join('limits', 'b', 1, 1_000))
  await answer(LATER)
  const crowded = queue.join('other limits', 'b', 1, 1_000)
  expect(crowded).toMatchObject({ reason: 'crowded', decision: { allowed: false } })
  const closed = Promise.allSettled(waiting)
  queue.close(new Error('closed'))
  const rejected = { status: 'rejected' }
  expect(await closed).toMatchObject([rejected, rejected, rejected])
  expect([queue.size, queue.keys]).toEqual([0, 0])
})

it('a queue uses the limits of its last waiter; a charge is refunded under the limits it was made with', async () => {
  const asked: string[] = []
  const back: string[] = []
  let answer: (decision: Decision | Later) => void = () => {}
  const source = {
    ask: (limits: string) => {
      asked.push(limits)
      return new Promise<Decision | Later>((resolve) => {
        answer = resolve
      })
    },
    peek: () => NO,
    aged: (_: string, denial: Decision) => denial,
    giveBack: (limits: string, _: string, __: number, decision: Decision) => {
      back.push(limits)
      return decision
    },
  }
  const clock = new FakeClock()
  const caps = { clock, maxWaitersPerKey: 9, maxWaiters: 9 }
  const queue = new WaitQueue<Decision, string>(source, caps)
  const one = leaver()
  const first = queue.join('free', 'k', 1, 1_000, one)
  answer(LATER)
  await Promise.resolve()
  await Promise.resolve()
  clock.advance(100)
  const second = queue.join('paid', 'k', 1, 1_000)
  one.leave()
  answer(YES)
  expect(await first).toMatchObject({ reason: 'gone' })
  await Promise.resolve()
  answer(YES)
  expect(await second).toBe(YES)
  expect([asked, back]).toEqual([['free', 'free', 'paid'], ['free']])
})

it('many waiters of one queue are served over several turns of the event loop', () => {
  const clock = new FakeClock()
  let isOpen = false
  let served = 0
  const source = {
    ask: () => {
      if (!isOpen) return LATER
      served++
      return YES
    },
    peek: () => NO,
    aged: (_: unknown, denial: Decision) => denial,
    giveBack: () => YES,
  }
  const queue = new WaitQueue<Decision, string>(source, {
    clock,
    maxWaitersPerKey: 999,
    maxWaiters: 999,
  })
  for (let i = 0; i < 300; i++) void queue.join('limits', 'k', 1, 10_000)
  isOpen = true
  queue.wake('k')
  expect(served).toBeLessThan(100)
  clock.advance(1)
  expect([served, queue.size]).toEqual([300, 0])
})

it('an agenda agrees with a sorted list under random insertions, moves and removals', () => {
  const random = randomFor('agenda')
  for (let round = 0; round < 30; round++) {
    const clock = new FakeClock()
    const seen: string[] = []
    type Named = { name: string; at: number; place: number }
    const note = ({ name }: Named) => seen.push(`${name} ${clock.now()}`)
    const agenda = new Agenda<Named>(clock, note, round % 2 === 0)
    const due = new Map<Named, number>()
    for (let i = 0; i < 200; i++) {
      const entry = { name: `e${i}`, at: 0, place: -1 }
      const at = random.integer(0, 400) + i / 1_024
      agenda.put(entry, at)
      due.set(entry, at)
      const [other] = [...due.keys()].filter(() => random.chance(0.01))
      if (other === undefined) continue
      if (random.chance(0.5)) {
        agenda.remove(other)
        due.delete(other)
      } else {
        agenda.put(other, at + 1)
        due.set(other, at + 1)
      }
    }
    clock.advance(1_000)
    const sorted = [...due].sort(([, a], [, b]) => a - b).map(([{ name }, at]) => `${name} ${at}`)
    expect(seen).toEqual(sorted)
  }
})

it('an agenda that keeps its timer sets few, and wakes for what comes after an entry was removed', () => {
  const clock = new FakeClock()
  let timers = 0
  let longest = 0
  let stopped = 0
  const counted = {
    now: () => clock.now(),
    setTimer: (wake: () => void, ms: number) => {
      timers++
      longest = Math.max(longest, ms)
      const stop = clock.setTimer(wake, ms)
      return () => {
        stopped++
        stop()
      }
    },
  }
  const due: number[] = []
  const agenda = new Agenda(counted, () => due.push(clock.now()), true)
  const entry = { at: 0, place: -1 }
  for (let i = 0; i < 1_000; i++) {
    agenda.put(entry, clock.now() + 60_000)
    agenda.remove(entry)
    clock.advance(1)
  }
  expect(timers).toBeLessThan(4)
  agenda.put(entry, 61_000)
  clock.advance(100_000)
  expect(due).toEqual([61_000])
  const kept = timers
  clock.advance(100_000)
  expect(timers).toBe(kept)
  // A limiter that is dropped is kept alive for no longer; one that is closed leaves no timer.
  expect(longest).toBeLessThanOrEqual(1_000)
  agenda.put(entry, clock.now() + 60_000)
  agenda.remove(entry)
  const before = stopped
  agenda.clear()
  expect(stopped).toBe(before + 1)
})
