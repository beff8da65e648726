/** A regular was born at least so long before the attack. */
const REGULAR_MS = 30_000
const FIRST_MINUTE_MS = 60_000
const PHASES = ['peace', 'attack', 'after']

/** Counts what happens in a run, and answers with its figures. */
export class Tally {
  #world
  #phases = Object.fromEntries(PHASES.map((name) => [name, { sent: 0, refused: 0, lost: 0 }]))
  #attack = { sent: 0, refused: 0, served: 0, bad: 0, badRefused: 0 }
  #known = { logins: 0, refused: 0 }
  #carrier = { sent: 0, refused: 0 }
  #firstRefusedMs
  #pressureMs
  #second = { asked: 0, served: 0 }
  #mostServed = 0
  #pages = []
  #triesBySource = new Map()
  #blocked = new Map()
  #calmMs
  #state = {}

  constructor(world) {
    this.#world = world
  }

  /** A request was sent, and let through or refused. */
  sent(request, decision, now) {
    const isRefused = decision?.allowed === false
    this.#second.asked++
    if (!request.actor.isPerson) return this.#attackSent(request, isRefused, now)
    const phase = this.#phases[this.#phaseAt(request.at)]
    phase.sent++
    if (request.actor.isCarrier) this.#carrierSent(isRefused)
    if (request.sensitive && this.#isRegular(request.actor) && this.#phaseAt(now) === 'attack') {
      this.#known.logins++
      if (isRefused) this.#known.refused++
    }
    if (!isRefused) return
    phase.refused++
    if (decision.level === 4) this.#innocentBlocked(request.ip, now, now + decision.retryAfterMs)
  }

  /** A request that was let through was served or lost. */
  ended(request, isServed) {
    if (isServed) this.#second.served++
    if (request.actor.isPerson) {
      if (!isServed) this.#phases[this.#phaseAt(request.at)].lost++
    } else if (isServed) {
      this.#attack.served++
      const { fails, perSource } = this.#world.scenario
      if (fails === 0 || perSource > 0) return
      this.#triesBySource.set(request.ip, (this.#triesBySource.get(request.ip) ?? 0) + 1)
    }
  }

  page(page) {
    if (this.#phaseAt(page.at) === 'attack') this.#pages.push(page)
  }

  /** A turn of the service is over. */
  turn(now, contender) {
    if (now % 1_000 !== 0) return
    const { asked, served } = this.#second
    this.#mostServed = Math.max(this.#mostServed, served)
    const { attackMs, attackEndMs, scenario } = this.#world
    const isPressure = asked > scenario.capacity
    if (isPressure && now > attackMs) this.#pressureMs ??= now - 1_000
    this.#second = { asked: 0, served: 0 }
    if (now < attackEndMs) return
    const isCalm = !(contender.state().pressure ?? asked > served)
    if (isCalm) this.#calmMs ??= now
    else this.#calmMs = undefined
  }

  finish(state) {
    this.#state = state
  }

  figures() {
    const { attackMs, attackEndMs } = this.#world
    const attack = this.#attack
    const tries = [...this.#triesBySource.values()]
    const since = this.#world.scenario.ramp > 0 ? this.#pressureMs : attackMs
    return {
      detectedS: seconds(this.#firstRefusedMs - since),
      attackSent: attack.sent,
      attackRefused: percent(attack.refused, attack.sent),
      failuresRefused: percent(attack.badRefused, attack.bad),
      ...this.#pageFigures(),
      refusedPeace: this.#phases.peace.refused,
      refusedInAttack: this.#phases.attack.refused,
      harmedPeace: this.#harmed('peace'),
      harmed: this.#harmed('attack'),
      harmedAfter: this.#harmed('after'),
      carrierRefused: percent(this.#carrier.refused, this.#carrier.sent),
      knownRefused: percent(this.#known.refused, this.#known.logins),
      mostTries: tries.length === 0 ? undefined : Math.max(...tries),
      ...this.#blockFigures(),
      calmS: seconds(this.#calmMs - attackEndMs),
      mostServed: this.#mostServed,
      evictions: this.#state.evictions,
    }
  }

  #attackSent(request, isRefused, now) {
    const isBad = request.status >= 400
    this.#attack.sent++
    if (isBad) this.#attack.bad++
    if (!isRefused) return
    this.#attack.refused++
    if (isBad) this.#attack.badRefused++
    this.#firstRefusedMs ??= now
  }

  #carrierSent(isRefused) {
    this.#carrier.sent++
    if (isRefused) this.#carrier.refused++
  }

  #innocentBlocked(ip, now, untilMs) {
    const known = this.#blocked.get(ip)
    if (known === undefined || now > known.untilMs) {
      this.#blocked.set(ip, { fromMs: now, untilMs, longestMs: untilMs - now })
      return
    }
    known.untilMs = untilMs
    known.longestMs = Math.max(known.longestMs, untilMs - known.fromMs)
  }

  #blockFigures() {
    const blocks = [...this.#blocked.values()]
    const longest = blocks.reduce((most, { longestMs }) => Math.max(most, longestMs), 0)
    return { innocentsBlocked: blocks.length, longestBlockS: seconds(longest) }
  }

  #pageFigures() {
    const { attackMs, attackEndMs } = this.#world
    const share = (pages) =>
      percent(
        pages.filter(({ isWhole, doneAt }) => isWhole && doneAt <= attackEndMs).length,
        pages.length,
      )
    const newer = this.#pages.filter((page) => !this.#isRegular(page))
    return {
      regulars: share(this.#pages.filter((page) => this.#isRegular(page))),
      newcomers: share(newer),
      newcomersLater: share(newer.filter(({ at }) => at >= attackMs + FIRST_MINUTE_MS)),
    }
  }

  #harmed(name) {
    const { sent, refused, lost } = this.#phases[name]
    return percent(refused + lost, sent)
  }

  #isRegular({ bornMs }) {
    return bornMs <= this.#world.attackMs - REGULAR_MS
  }

  #phaseAt(time) {
    const { attackMs, attackEndMs } = this.#world
    if (time < attackMs) return 'peace'
    return time < attackEndMs ? 'attack' : 'after'
  }
}

const percent = (part, whole) => (whole === 0 ? undefined : (100 * part) / whole)
const seconds = (ms) => (Number.isFinite(ms) ? ms / 1_000 : undefined)
