import { RateLimiter } from 'ratethrottle'
import { shield } from 'ratethrottle/shield'
import { FakeClock } from 'ratethrottle/testing'
import { Scorer } from './scorer.mjs'

/**
 * Who may stand before the service. A contender has `advance(ms)`, `decide(request)` which answers with
 * `{ allowed, level, retryAfterMs }` or `undefined` for yes, `settle(request, outcome)`, `state()` and `close()`.
 */
export const CONTENDERS = {
  ours: (scenario) => new Ours(scenario),
  nothing: () => new Contender(),
  address: () => new PerAddress(),
  scorer: () => new RateThrottle(),
}

/** As they are called in tables. */
export const NAMES = {
  ours: 'ratethrottle shield',
  nothing: 'nothing',
  address: '100/minute per address',
  scorer: "RateThrottle's scorer",
}

class Contender {
  clock = new FakeClock()

  advance(ms) {
    this.clock.advance(ms)
  }

  decide() {
    return undefined
  }

  settle() {}

  state() {
    return {}
  }

  close() {}
}

class Ours extends Contender {
  #guard

  constructor({ capacity, shield: options }) {
    super()
    const rate = { maxRate: `${capacity}/second` }
    this.#guard = shield({ ...rate, mode: 'enforce', ...options, clock: this.clock })
  }

  decide(request) {
    return this.#guard.decide(request)
  }

  settle(request, outcome) {
    this.#guard.settle(request, outcome)
  }

  state() {
    return this.#guard.state()
  }

  close() {
    this.#guard.close()
  }
}

class PerAddress extends Contender {
  #limiter = new RateLimiter('100/minute', {
    algorithm: 'sliding-window',
    clock: this.clock,
    capacity: 2_000_000,
  })

  decide({ ip }) {
    const { allowed, retryAfterMs } = this.#limiter.check(ip)
    return { allowed, level: allowed ? 0 : 2, retryAfterMs }
  }
}

class RateThrottle extends Contender {
  #scorer = new Scorer()

  decide({ ip, path }) {
    const retryAfterMs = this.#scorer.check(ip, path, this.clock.now())
    return { allowed: retryAfterMs === 0, level: retryAfterMs > 1_000 ? 4 : 0, retryAfterMs }
  }
}
