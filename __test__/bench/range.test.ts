import { describe, expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { figuresOf, figuresOfScenario, load } from './range-modules.ts'

/** Two million requests of bots take their time, and next to no page is whole. */
const BIG = ['S2', 'S2c', 'S9']
const seedsOf = (name: string) => (BIG.includes(name) ? [1] : [1, 2, 3, 4, 5])

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
  it.each(Object.entries(NOTHING))(
    '%s with nothing is as the reference says',
    async (name, known) => {
      const found = await Promise.all(seedsOf(name).map((seed) => figuresOf(name, 'nothing', seed)))
      const regulars = median(found.map((figures) => figures.regulars))
      const newcomers = median(found.map((figures) => figures.newcomers))
      expect(Math.abs(regulars - known[0]), `regulars ${regulars}`).toBeLessThanOrEqual(3)
      expect(Math.abs(newcomers - known[1]), `newcomers ${newcomers}`).toBeLessThanOrEqual(3)
      for (const { mostServed } of found) expect(mostServed).toBeLessThanOrEqual(1_000)
    },
  )

  it('brings 200 requests a second of people, and 30 of a carrier, in peace', async () => {
    const { toScenario } = await load('scenarios')
    const { runOnce } = await load('run')
    let now = 0
    let late = 0
    const counter = {
      advance: (ms: number) => {
        now += ms
      },
      decide: () => {
        if (now >= 300_000) late++
      },
      settle: () => {},
      state: () => ({}),
    }
    runOnce(toScenario({ peace: 900, attack: 1, after: 0 }), 1, counter)
    expect(late / 601).toBeGreaterThan(215)
    expect(late / 601).toBeLessThan(245)
  })

  it('gives the same figures for the same seed, and others for another', async () => {
    const [first, again, other] = await Promise.all(
      [1, 1, 2].map((seed) => figuresOf('S4', 'nothing', seed)),
    )
    expect(again).toEqual(first)
    expect(other).not.toEqual(first)
  })

  it('refuses a scenario with a field that it does not know', async () => {
    const { toScenario } = await load('scenarios')
    expect(() => toScenario({ bot: 3 })).toThrow(/a scenario has no 'bot'; it has .*bots/)
  })
})

it('two hours of the benign day: ours refuses no one and blocks no one', async () => {
  const { ALL_SCENARIOS, toScenario } = await load('scenarios')
  const day = { ...ALL_SCENARIOS.day, peace: 7_200, rhythm: 0, crowds: { count: 1, times: 3.5 } }
  const { refusedPeace, innocentsBlocked } = await figuresOfScenario(toScenario(day), 'ours', 1)
  expect({ refusedPeace, innocentsBlocked }).toEqual({ refusedPeace: 0, innocentsBlocked: 0 })
})

describe('the service', () => {
  /** Served in each full second, if so many come in each turn. */
  async function served(turns: number[], capacity = 1_000) {
    const { Service } = await load('service')
    const { Random } = await load('random')
    const service = new Service({ capacity, random: new Random(7) })
    const seconds = new Array<number>(Math.ceil(turns.length / 10)).fill(0)
    turns.forEach((count, turn) => {
      for (let i = 0; i < count; i++) service.take(i)
      service.finish((_request: number, isServed: boolean) => {
        if (isServed) seconds[Math.floor(turn / 10)] = (seconds[Math.floor(turn / 10)] ?? 0) + 1
      })
    })
    return seconds
  }

  it('never serves more than its capacity in a second, whatever comes', async () => {
    const { Random } = await load('random')
    const random = new Random(3)
    const turns = Array.from({ length: 5_000 }, () =>
      random.chance(0.5) ? random.whole(0, 2_000) : random.whole(0, 100),
    )
    const seconds = await served(turns)
    expect(Math.max(...seconds)).toBe(1_000)
    const odd = await served(turns, 333)
    expect(Math.max(...odd)).toBe(333)
  })

  it('loses nothing below its capacity, and the excess above it', async () => {
    expect(await served(new Array(50).fill(99))).toEqual(new Array(5).fill(990))
    expect((await served(new Array(50).fill(300))).slice(1)).toEqual(new Array(4).fill(1_000))
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
  [['--seconds', '5'], /--seconds and --calm take --url/],
  [['--url', 'http://example.com'], /--url takes a server of this machine/],
  [['--url', 'http://127.0.0.1.example.com'], /--url takes a server of this machine/],
  [['--url', 'https://localhost'], /--url takes an http URL/],
  [['--fast'], /flags are --scenario/],
])('npm run range refuses %j in one line', async (words, message) => {
  const { code, out, err } = await run('../bench/shield/index.mjs', words)
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toMatch(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})
