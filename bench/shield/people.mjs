import { ipv4, personal } from './addresses.mjs'
import { Random } from './random.mjs'

/**
 * Peaceful visitors: sessions of pages, by Poisson's law. `world` is the run (see run.mjs). The world calls
 * `request.actor.ended(request, how, waitMs, now)` when a request is refused, lost or served.
 */
export class People {
  #world
  #random
  #shared
  #arrivals

  constructor(world, seed, arrivals) {
    this.#world = world
    this.#random = new Random(seed, 'people')
    this.#arrivals = arrivals
    const { addresses } = world.scenario.people.shared
    this.#shared = Array.from({ length: addresses }, () => personal(this.#random))
    this.#enterNext(0)
  }

  /** A session arrives, and the next is entered. */
  act(now) {
    const { shared } = this.#world.scenario.people
    const isShared = this.#random.chance(shared.share)
    const ip = isShared ? this.#random.pick(this.#shared) : personal(this.#random)
    new Session(this.#world, this.#random, ip, now).act(now)
    this.#enterNext(now)
  }

  /** Arrivals are drawn at the greatest rate; those that are too many at their moment are passed over. */
  #enterNext(now) {
    const { calendar, endMs, attackMs, scenario } = this.#world
    const { most } = this.#arrivals
    const meanMs = 1_000 / (scenario.people.arrivals * most)
    let time = now
    do {
      time += this.#random.gap(meanMs)
      if (time >= endMs) return
    } while (!this.#random.chance(this.#arrivals.at((time - attackMs) / 1_000) / most))
    calendar.at(time, this)
  }
}

/** One visitor from first page to last. */
class Session {
  isPerson = true
  #world
  #random
  #pages
  #page
  #size = 0
  #sent = 0
  #tries = 0
  #isLogin = false
  #countedSinceMs

  constructor(world, random, ip, now) {
    this.#world = world
    this.#random = random
    this.ip = ip
    this.bornMs = now
    this.#countedSinceMs = now
    this.#pages = random.tries(world.scenario.people.pages)
  }

  /** Sends the next request of the page, or the first of the next page. */
  act(now) {
    if (this.#page === undefined) this.#open(now)
    this.#world.send(this.#request(now))
  }

  #open(now) {
    const { people } = this.#world.scenario
    const isRetry = this.#tries > 0
    if (isRetry) this.#countedSinceMs = now
    else {
      this.#size = this.#random.whole(...people.requests)
      this.#isLogin = people.login > 0 && this.#random.chance(people.login)
    }
    this.#sent = 0
    this.#page = { bornMs: this.#countedSinceMs, at: now, isWhole: !isRetry, doneAt: now }
  }

  #request(at) {
    const { people } = this.#world.scenario
    const isFirst = this.#sent === 0
    const sensitive = isFirst && this.#isLogin
    const path = sensitive ? '/login' : `/page/${this.#random.whole(1, people.paths)}`
    const isBad = this.#random.chance(sensitive ? people.loginFails : people.fail)
    const status = isBad ? (sensitive ? 401 : 404) : 200
    return { actor: this, ip: this.ip, path, sensitive, status, at, isFirst }
  }

  ended(request, how, waitMs, now) {
    if (how !== 'served') this.#page.isWhole = false
    if (request.isFirst && how !== 'served') return this.#turnedAway(waitMs, now)
    const { calendar, scenario } = this.#world
    const { between, think } = scenario.people
    this.#sent++
    // An error page brings nothing else with it.
    const isOver = request.isFirst && request.status >= 400
    if (!isOver && this.#sent < this.#size) return calendar.at(request.at + between * 1_000, this)
    this.#close(now)
    this.#tries = 0
    if (--this.#pages > 0) calendar.at(request.at + this.#random.gap(think * 1_000), this)
  }

  /** The page did not come: wait as told, leave, or press F5. */
  #turnedAway(waitMs, now) {
    const { scenario, calendar } = this.#world
    const { patient, leaves, reload, tries, afterLoss } = scenario.people
    this.#close(now)
    const mood = this.#random.next()
    if (mood >= patient && mood < patient + leaves) return
    if (++this.#tries > tries) return
    const toldMs = waitMs ?? afterLoss * 1_000
    const wait = mood < patient ? toldMs : this.#random.between(...reload) * 1_000
    calendar.at(now + wait, this)
  }

  #close(now) {
    this.#page.doneAt = now
    this.#world.pageDone(this.#page)
    this.#page = undefined
  }
}

/** An address behind which so many people are that requests come as a stream, whatever happens to them. */
export class Carrier {
  isPerson = true
  isCarrier = true
  bornMs = 0
  #world
  #random
  #nextMs = 0

  constructor(world, seed) {
    this.#world = world
    this.#random = new Random(seed, 'carrier')
    this.ip = ipv4(this.#random)
    if (world.scenario.people.carrier > 0) world.calendar.at(0, this)
  }

  act(now) {
    const { people } = this.#world.scenario
    const path = `/page/${this.#random.whole(1, people.paths)}`
    const status = this.#random.chance(people.fail) ? 404 : 200
    this.#world.send({ actor: this, ip: this.ip, path, sensitive: false, status, at: now })
    // Entered for a time between slots, so that the mean rate is kept.
    this.#nextMs += this.#random.gap(1_000 / people.carrier)
    this.#world.calendar.at(this.#nextMs, this)
  }

  ended() {}
}
