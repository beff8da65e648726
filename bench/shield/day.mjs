import { ipv4 } from './addresses.mjs'
import { Random } from './random.mjs'

const DAY_S = 86_400

/**
 * How many times as many people as usual arrive at `time`, in seconds from the start of the attack. A crowd gathers
 * over `crowdRamp` seconds, and leaves at once.
 */
export class Arrivals {
  #scenario
  #crowds = []
  /** The greatest that `at` answers. */
  most

  constructor(scenario, seed) {
    this.#scenario = scenario
    const { crowd, crowds, peace, attack } = scenario
    const random = new Random(seed, 'crowds')
    if (attack > 0) this.#crowds.push({ from: 0, until: attack, times: crowd })
    for (let i = 0; i < crowds.count; i++) {
      const from = random.between(0, peace - crowds.lasts) - peace
      this.#crowds.push({ from, until: from + crowds.lasts, times: crowds.times })
    }
    this.most = Math.max(1, ...this.#crowds.map(({ times }) => times))
  }

  at(time) {
    const { rhythm, crowdRamp, peace } = this.#scenario
    // The night is at the start of the day, and noon in its middle.
    const hour = Math.cos((2 * Math.PI * (time + peace)) / DAY_S)
    const usual = 1 - (rhythm * (1 + hour)) / 2
    const crowds = this.#crowds.filter(({ from, until }) => time >= from && time < until)
    const times = crowds.map((crowd) => {
      const gathered = crowdRamp === 0 ? 1 : Math.min(1, (time - crowd.from) / crowdRamp)
      return 1 + (crowd.times - 1) * gathered
    })
    return usual * Math.max(1, ...times)
  }
}

/** Enters crawlers: each reads pages one after another, all different, and obeys. */
export function enterCrawlers(world, seed) {
  const random = new Random(seed, 'crawlers')
  const { count } = world.scenario.crawlers
  for (let i = 0; i < count; i++) {
    const crawler = new Crawler(world, random)
    world.calendar.at(random.between(0, 60_000), crawler)
  }
}

class Crawler {
  isPerson = true
  bornMs = 0
  #world
  #random
  #page = 0
  #restMs = 0

  constructor(world, random) {
    this.#world = world
    this.#random = random
    this.ip = ipv4(random)
  }

  act(now) {
    const { fail, rate } = this.#world.scenario.crawlers
    const status = this.#random.chance(fail) ? 404 : 200
    const path = `/archive/${++this.#page}`
    this.#restMs = 0
    this.#world.send({ actor: this, ip: this.ip, path, sensitive: false, status, at: now })
    const gap = (1_000 / rate) * this.#random.between(0.8, 1.2)
    this.#world.calendar.at(now + Math.max(gap, this.#restMs), this)
  }

  /** Refusals come at once, so the next request is not yet entered. */
  ended(_request, how, waitMs) {
    if (how === 'refused') this.#restMs = waitMs
  }
}
