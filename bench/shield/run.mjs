import { enterBots } from './bots.mjs'
import { Calendar } from './calendar.mjs'
import { Arrivals, enterCrawlers } from './day.mjs'
import { Carrier, People } from './people.mjs'
import { Random } from './random.mjs'
import { Service } from './service.mjs'
import { Tally } from './tally.mjs'

/** Virtual time goes on in slots of 10 ms; the service works in turns of 100 ms. */
const SLOT_MS = 10
const TURN_MS = 100

/**
 * Runs one scenario under one seed against one contender.
 *
 * @param contender `{ advance(ms), decide(request), settle(request, outcome), state() }`
 * @returns the tally
 */
export function runOnce(scenario, seed, contender) {
  const world = new World(scenario, seed, contender)
  world.run()
  return world.tally
}

/** The stage: it passes requests from actors through the contender to the service, and tells each how it ended. */
class World {
  #contender
  #service

  constructor(scenario, seed, contender) {
    this.scenario = scenario
    this.attackMs = scenario.peace * 1_000
    this.attackEndMs = this.attackMs + scenario.attack * 1_000
    this.endMs = this.attackEndMs + scenario.after * 1_000
    this.nowMs = 0
    this.calendar = new Calendar(SLOT_MS, 0)
    this.tally = new Tally(this)
    this.#contender = contender
    const { capacity } = scenario
    this.#service = new Service({ capacity, random: new Random(seed, 'service') })
    new People(this, seed, new Arrivals(scenario, seed))
    new Carrier(this, seed)
    enterCrawlers(this, seed)
    enterBots(this, seed)
  }

  run() {
    for (this.nowMs = 0; this.nowMs < this.endMs; ) {
      this.calendar.run()
      this.nowMs += SLOT_MS
      this.#contender.advance(SLOT_MS)
      if (this.nowMs % TURN_MS === 0) this.#finishTurn()
    }
    this.tally.finish(this.#contender.state())
  }

  send(request) {
    const decision = this.#contender.decide(request)
    const isAllowed = decision === undefined || decision.allowed
    this.tally.sent(request, decision, this.nowMs)
    if (isAllowed) return this.#service.take(request)
    request.actor.ended(request, 'refused', decision.retryAfterMs, this.nowMs)
  }

  pageDone(page) {
    this.tally.page(page)
  }

  #finishTurn() {
    this.#service.finish((request, isServed) => {
      this.#contender.settle(request, isServed ? request.status : 'dropped')
      this.tally.ended(request, isServed)
      request.actor.ended(request, isServed ? 'served' : 'lost', undefined, this.nowMs)
    })
    this.tally.turn(this.nowMs, this.#contender)
  }
}
