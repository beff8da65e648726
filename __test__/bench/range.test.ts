import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, run } from '../fixtures/child.ts'

const load = (name: string) => import(join(ROOT, 'bench/shield', `${name}.mjs`))
const { SCENARIOS, toScenario } = await load('scenarios')
const { CONTENDERS } = await load('contenders')
const { runOnce } = await load('run')
const { Service } = await load('service')
const { Random } = await load('random')

/** Two million requests of bots take their time, and next to no page is whole. */
const BIG = ['S2', 'S2c', 'S9']
const seedsOf = (name: string) => (BIG.includes(name) ? [1] : [1, 2, 3, 4, 5])

function figuresOf(name: string, contender: string, seed = 1) {
  const scenario = toScenario({ name, ...SCENARIOS[name] })
  const made = CONTENDERS[contender](scenario)
  try {
    return runOnce(scenario, seed, made).figures()
  } finally {
    made.close()
  }
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] as number

/** Pages whole of regulars and newcomers with nothing before the service, in percent. */
const NOTHING: Record<string, [number, number]> = {
  S1: [38, 33],
  S1b: [100, 99],
  S2: [0.2, 0.1],
  S2b: [3, 2],
  S2c: [0.2, 0.1],
  S3: [39, 32],
  S4: [76, 29],
  S5: [100, 99],
  S5b: [74, 26],
  S8: [71, 67],
  S9: [0.5, 0.1],
}

describe('the generator of traffic', () => {
  it.each(Object.entries(NOTHING))('%s with nothing is as the reference says', (name, known) => {
    const found = seedsOf(name).map((seed) => figuresOf(name, 'nothing', seed))
    const regulars = median(found.map((figures) => figures.regulars))
    const newcomers = median(found.map((figures) => figures.newcomers))
    expect(Math.abs(regulars - known[0]), `regulars ${regulars}`).toBeLessThanOrEqual(3)
    expect(Math.abs(newcomers - known[1]), `newcomers ${newcomers}`).toBeLessThanOrEqual(3)
    for (const { mostServed } of found) expect(mostServed).toBeLessThanOrEqual(1_000)
  })

  it('brings 200 requests a second of people, and 30 of a carrier, in peace', () => {
    const calm = { bots: 0, peace: 600, attack: 1, after: 0 }
    const sent: number[] = []
    const scenario = toScenario({ ...calm })
    const counter = {
      advance: () => sent.push(0),
      decide: () => void sent[sent.length - 1]++,
      settle: () => {},
      state: () => ({}),
    }
    runOnce(scenario, 1, counter)
    const late = sent.slice(-30_000).reduce((sum, count) => sum + count, 0) / 300
    expect(late).toBeGreaterThan(215)
    expect(late).toBeLessThan(245)
  })

  it('gives the same figures for the same seed, and others for another', () => {
    const [first, again, other] = [1, 1, 2].map((seed) => figuresOf('S4', 'nothing', seed))
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
  })

  it('refuses a scenario with a field that it does not know', () => {
    expect(() => toScenario({ bot: 3 })).toThrow(/a scenario has no 'bot'; it has .*bots/)
  })
})

describe('the service', () => {
  /** Served in each full second, if so many come in each turn. */
  function served(turns: number[], capacity = 1_000) {
    const service = new Service({ capacity, random: new Random(7) })
    const seconds: number[] = []
    turns.forEach((count, turn) => {
      if (turn % 10 === 0) seconds.push(0)
      for (let i = 0; i < count; i++) service.take(i)
      service.finish((_request: number, isServed: boolean) => {
        if (isServed) seconds[seconds.length - 1]++
      })
    })
    return seconds
  }

  it('never serves more than its capacity in a second, whatever comes', () => {
    const random = new Random(3)
    const turns = Array.from({ length: 5_000 }, () =>
      random.chance(0.5) ? random.whole(0, 2_000) : random.whole(0, 100),
    )
    const seconds = served(turns)
    expect(Math.max(...seconds)).toBe(1_000)
    const odd = served(turns, 333)
    expect(Math.max(...odd)).toBe(333)
  })

  it('loses nothing below its capacity, and the excess above it', () => {
    expect(served(new Array(50).fill(99))).toEqual(new Array(5).fill(990))
    expect(served(new Array(50).fill(300)).slice(1)).toEqual(new Array(4).fill(1_000))
  })
})

it('npm run range prints a line of JSON per scenario, contender and seed', async () => {
  const flags = ['--scenario', 'S7,S1b', '--contenders', 'nothing,ours', '--seeds', '2', '--json']
  const { code, out, err } = await run('../bench/shield/index.mjs', flags)
  expect(code, err).toBe(0)
  const rows = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(rows).toHaveLength(8)
  const ours = rows.filter(({ contender }) => contender === 'ours')
  for (const row of ours) expect(row.attackRefused).toBeGreaterThan(80)
})

it.each([
  [['--scenario', 'S12'], /there is no scenario 'S12'; there are S1, /],
  [['--scenario', '{"bot":1}'], /a scenario has no 'bot'/],
  [['--contenders', 'theirs'], /there is no contender 'theirs'/],
  [['--seeds', '0'], /--seeds takes a whole number from 1/],
  [['--seconds', '5'], /--seconds takes --url/],
  [['--fast'], /flags are --scenario/],
])('npm run range refuses %j in one line', async (words, message) => {
  const { code, out, err } = await run('../bench/shield/index.mjs', words)
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toMatch(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})
