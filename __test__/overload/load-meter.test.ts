import { execFileSync } from 'node:child_process'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { AT_EASE, step } from '../../ts/overload/load.ts'
import { LoadMeter, type LoadReading } from '../../ts/overload/load-meter.ts'
import { byLength } from '../fixtures/long.ts'
import { run, type Traffic } from './virtual-server.ts'

// The server can do 500 requests a second: each takes 2 ms, give or take half.
const SEEDS = Array.from({ length: byLength(3, 10) }, (_, i) => i + 1)
const PAUSES = Array.from({ length: 10 }, (_, i) => [(i + 1) * 5_000, 80] as const)
const CAPACITY = 500
const minute = { seconds: 60, costMs: () => 2 }

/** For each seed: when there was pressure first, in ms. */
function pressureOf(traffic: Omit<Traffic, 'seed'>): readonly (number | undefined)[] {
  return SEEDS.map((seed) => run({ ...traffic, seed }).pressureAtMs)
}

const calm = SEEDS.map(() => undefined)
const at = (share: number) => () => share * CAPACITY

it.each<[string, Omit<Traffic, 'seed'>]>([
  ['requests one by one', { ...minute, rate: at(0.7) }],
  ['pages of six requests at once', { ...minute, rate: at(0.7), burst: 6 }],
  ['ten at once', { ...minute, rate: at(0.7), burst: 10 }],
  ['80 %', { ...minute, rate: at(0.8) }],
  ['a pause of 300 ms', { ...minute, rate: at(0.7), pauses: [[20_000, 300]] }],
  ['a pause of 500 ms', { ...minute, rate: at(0.7), pauses: [[20_000, 500]] }],
  ['a pause every five seconds', { ...minute, rate: at(0.7), pauses: PAUSES }],
  ['code that is compiled first', { ...minute, rate: at(0.7), costMs: (ms) => (ms < 500 ? 8 : 2) }],
  [
    'no more than it can do for a moment',
    { ...minute, rate: (ms) => at(ms % 10_000 < 400 ? 1.5 : 0.5)() },
  ],
])('a loaded server that keeps up is never under pressure: %s', (_, traffic) => {
  expect(pressureOf(traffic)).toEqual(calm)
})

it.each([
  [1.2, 2_500],
  [1.5, 1_500],
  [2, 1_300],
  [5, 1_300],
  [20, 1_300],
])('%d times of what it can do is seen within %d ms', (times, withinMs) => {
  const traffic = { ...minute, rate: (ms: number) => at(ms < 20_000 ? 0.6 : times)() }
  for (const seen of pressureOf(traffic)) {
    expect(seen).toBeGreaterThan(20_000)
    expect(seen).toBeLessThan(20_000 + withinMs)
  }
})

it.each([1.2, 2, 4])('%d times: what is admitted comes near what can be done', (times) => {
  const rate = (ms: number) => at(ms < 20_000 || ms > 60_000 ? 0.4 : times)()
  for (const seed of SEEDS) {
    const { readings, waits } = run({ seed, ...minute, seconds: 80, rate, enforce: true })
    const between = (from: number, to: number) =>
      waits.filter(([arrived]) => arrived >= from && arrived < to)
    const served = between(30_000, 60_000)
    // What is left beside the refusals, each of which costs a tenth.
    const possible = (CAPACITY - times * CAPACITY * 0.1) / 0.9
    expect(served.length / 30).toBeGreaterThan(0.8 * possible)
    const waited = served.map(([, ms]) => ms).sort((a, b) => a - b)
    expect(waited[Math.floor(waited.length * 0.99)]).toBeLessThan(100)
    expect(readings.at(-1)?.capacity).toBe(Number.POSITIVE_INFINITY)
    expect(between(70_000, 80_000).length / 10).toBeGreaterThan(0.9 * at(0.4)())
  }
})

/** A meter in virtual time, and a second of it: so many requests, of which each takes so long. */
function virtual(): { meter: LoadMeter; second(count: number, latencyMs: number): LoadReading } {
  let now = 0
  let waiting: number[] = []
  const meter = new LoadMeter({ now: () => now })
  return {
    meter,
    second: (count, latencyMs) => {
      for (let i = 0; i < count; i++) {
        now += 1000 / count
        const due = waiting.filter((end) => end <= now)
        waiting = waiting.filter((end) => end > now)
        for (const _ of due) meter.ended(latencyMs)
        meter.started()
        waiting.push(now + latencyMs)
      }
      return meter.reading
    },
  }
}

it('a dependency that is slow for a day is no pressure, and does not become the baseline within an hour', () => {
  const { second } = virtual()
  for (let i = 0; i < 60; i++) second(50, 20)
  let last: LoadReading | undefined
  for (let i = 0; i < 3600; i++) {
    last = second(50, i < 1800 ? 40 : 400)
    expect(last.capacity).toBe(Number.POSITIVE_INFINITY)
  }
  expect(last?.baselineMs).toBeGreaterThan(19)
  expect(last?.baselineMs).toBeLessThan(22.1)
  expect(last?.latencyMs).toBeCloseTo(400)
})

it('a pool that more and more requests wait for is pressure, and what it has done is the capacity', () => {
  let now = 0
  const meter = new LoadMeter({ now: () => now })
  const queue: number[] = []
  let seenAt: number | undefined
  // Ten connections of 50 ms each: 200 requests a second, of which the last to come waits for all before it.
  for (; now < 60_000; now += 5) {
    // From 30 s on twice as many come as the pool can do.
    const arriving = now > 30_000 ? 2 : now % 10 === 0 ? 1 : 0
    for (let i = 0; i < arriving; i++) {
      meter.started()
      queue.push(now)
    }
    const begun = queue[0] ?? Number.POSITIVE_INFINITY
    if (now - begun >= 50 && queue.length > 0) {
      queue.shift()
      meter.ended(now - begun)
    }
    if (seenAt === undefined && meter.reading.capacity < Number.POSITIVE_INFINITY) {
      seenAt = now
      expect(meter.reading.capacity).toBeGreaterThan(150)
      expect(meter.reading.capacity).toBeLessThan(250)
    }
  }
  expect(seenAt).toBeGreaterThan(30_000)
  expect(seenAt).toBeLessThan(36_000)
  expect(meter.reading.baselineMs).toBeLessThan(60)
})

/** Ticks of an event loop that is punctual: when there is pressure, after a minute of 100 requests a second. */
function punctual(utilization: number, perTick: number): number {
  const tick = { elapsedMs: 250, computing: 1, delayMs: 0, inFlight: 1, latencyMs: 1, refused: 0 }
  let state = AT_EASE
  for (let i = 0; i < 240; i++) {
    state = step(state, { ...tick, utilization: 0.3, started: 25, ended: 25 })
  }
  for (let ticks = 1; ticks < 100; ticks++) {
    state = step(state, { ...tick, utilization, started: perTick, ended: perTick })
    if (state.capacity < Number.POSITIVE_INFINITY) return ticks
  }
  return Number.POSITIVE_INFINITY
}

it('an event loop is overloaded though it is punctual, if requests take all of its time', () => {
  // Node accepts one connection in each turn: more of them wait where they are not seen.
  expect(punctual(1, 80)).toBeLessThan(14)
  // Other work takes the rest.
  expect(punctual(1, 25)).toBe(Number.POSITIVE_INFINITY)
  expect(punctual(1, 35)).toBe(Number.POSITIVE_INFINITY)
  // It has time left.
  expect(punctual(0.95, 80)).toBe(Number.POSITIVE_INFINITY)
})

it('pressure is not over while more requests are refused than it could serve', () => {
  const ticksUntilCalm = (refused: number): number => {
    const tick = { elapsedMs: 250, computing: 1, inFlight: 1, latencyMs: 1, refused }
    let state = AT_EASE
    while (state.capacity === Number.POSITIVE_INFINITY) {
      state = step(state, { ...tick, utilization: 1, delayMs: 150, started: 100, ended: 100 })
    }
    for (let ticks = 1; ticks < 100; ticks++) {
      state = step(state, { ...tick, utilization: 0.3, delayMs: 0, started: 30, ended: 30 })
      if (state.capacity === Number.POSITIVE_INFINITY) return ticks
    }
    return Number.POSITIVE_INFINITY
  }
  expect(ticksUntilCalm(0)).toBeLessThan(25)
  expect(ticksUntilCalm(1_000)).toBe(Number.POSITIVE_INFINITY)
})

it('a process that others keep from computing has to be late for longer', () => {
  const ticksUntilPressure = (computing: number): number => {
    let state = AT_EASE
    for (let ticks = 1; ticks < 1_000; ticks++) {
      const isEarly = ticks < 20
      state = step(state, {
        elapsedMs: 250,
        utilization: isEarly ? 0.5 : 1,
        computing: isEarly ? 0.5 : computing,
        delayMs: isEarly ? 0 : 150,
        started: 100,
        ended: 100,
        refused: 0,
        inFlight: 1,
        latencyMs: 1,
      })
      if (state.capacity < Number.POSITIVE_INFINITY) return ticks - 19
    }
    return Number.POSITIVE_INFINITY
  }
  expect(ticksUntilPressure(1)).toBe(4)
  expect(ticksUntilPressure(0.45)).toBe(8)
})

it('the event loop of this process: real work, and a queue that grows', async () => {
  const readings: LoadReading[] = []
  const meter = new LoadMeter({ onTick: (reading) => readings.push(reading) })
  const work = (ms: number): void => {
    const end = performance.now() + ms
    while (performance.now() < end);
  }
  let roundMs = 20
  while (meter.reading.capacity === Number.POSITIVE_INFINITY) {
    for (let spent = 0; spent < roundMs; spent += 5) {
      meter.started()
      work(5)
      meter.ended(5)
    }
    roundMs = Math.min(400, roundMs * 1.2)
    await turn()
  }
  expect(readings.at(-1)?.utilization).toBeGreaterThan(0.9)
  expect(readings.at(-1)?.load).toBeGreaterThan(0.9)
  while (meter.reading.capacity < Number.POSITIVE_INFINITY) {
    meter.started()
    await new Promise((resolve) => setTimeout(resolve, 5))
    meter.ended(5)
  }
  meter.close()
  const count = readings.length
  meter.started()
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(readings.length).toBe(count)
})

it('keeps no process alive', () => {
  const program = `
    const { LoadMeter } = require('./dist/overload/load-meter.js')
    const meter = new LoadMeter()
    meter.started()
    console.log(typeof meter.reading.capacity)`
  expect(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })).toBe('number\n')
})
