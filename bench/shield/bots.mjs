import { blocks, inBlock, ipv4 } from './addresses.mjs'
import { Random } from './random.mjs'

/** Enters the attackers of a scenario. Each bot has a rhythm of its own; slots end with the attack. */
export function enterBots(world, seed) {
  const random = new Random(seed, 'bots')
  const { scenario, attackMs } = world
  const rented = scenario.from === 'blocks' ? blocks(random, scenario.blocks) : []
  const gapMs = 1_000 / scenario.rate
  for (let i = 0; i < scenario.bots; i++) {
    const rampMs = (scenario.ramp * 1_000 * i) / scenario.bots
    new Bot(world, random, rented).start(attackMs + rampMs + random.between(0, gapMs))
  }
}

class Bot {
  isPerson = false
  #world
  #random
  #rented
  #nextMs = 0
  #left
  #seen = 0
  /** Behind the others, where they come in pulses. */
  #lateMs

  constructor(world, random, rented) {
    this.#world = world
    this.#random = random
    this.#rented = rented
    this.#lateMs = random.between(0, (world.scenario.pulse?.spread ?? 0) * 1_000)
    this.#move()
  }

  start(time) {
    this.#nextMs = time
    this.#enter()
  }

  act(now) {
    const { scenario } = this.#world
    if (scenario.perSource > 0 && this.#left-- <= 0) this.#move()
    const isBad = scenario.fails > 0 && this.#random.chance(scenario.fails)
    const status = isBad ? scenario.failStatus : 200
    const sensitive = scenario.target === 'login'
    const isWaiting = scenario.obey
    this.#world.send({ actor: this, ip: this.ip, path: this.#path(), sensitive, status, at: now })
    if (!isWaiting) this.#rest()
  }

  /** Only obedient bots care: they go on as soon as they may. */
  ended(_request, how, waitMs, now) {
    if (!this.#world.scenario.obey) return
    if (how === 'refused') this.#nextMs = Math.max(this.#nextMs, now + waitMs)
    this.#rest()
  }

  #rest() {
    const { rate, jitter } = this.#world.scenario
    const part = jitter === 0 ? 1 : 1 + this.#random.between(-jitter, jitter)
    this.#nextMs += (1_000 / rate) * part
    this.#enter()
  }

  /** For its next time; a bot of pulses sleeps until the next pulse. */
  #enter() {
    const { calendar, attackMs, attackEndMs, scenario } = this.#world
    if (scenario.pulse !== null) {
      const zero = attackMs + this.#lateMs
      this.#nextMs = zero + inPulse(this.#nextMs - zero, scenario.pulse)
    }
    if (this.#nextMs < attackEndMs) calendar.at(this.#nextMs, this)
  }

  #move() {
    const { perSource } = this.#world.scenario
    this.#left = perSource - 1
    const rented = this.#rented
    this.ip =
      rented.length > 0 ? inBlock(this.#random, this.#random.pick(rented)) : ipv4(this.#random)
  }

  #path() {
    const { target, people } = this.#world.scenario
    if (target === 'login') return '/login'
    if (target === 'scan') return `/probe/${++this.#seen}.php`
    return `/page/${this.#random.whole(1, people.paths)}`
  }
}

/** That time if it is in a pulse, else the same phase in the next pulse. */
function inPulse(time, { every, on, from }) {
  const phase = (((time - from * 1_000) % (every * 1_000)) + every * 1_000) % (every * 1_000)
  if (phase < on * 1_000) return time
  return time - phase + every * 1_000 + (phase % 1_000)
}
