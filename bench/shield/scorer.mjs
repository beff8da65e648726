/** RateThrottle's `DDoSProtection` with its defaults, as its inventory describes it, quirks and all. */
const WINDOW_MS = 60_000
const THRESHOLD_PER_SECOND = 10_000 / 60
const MAX_ENDPOINTS = 50
const SUSPICIOUS = 0.5
const BLOCK_AT_ONCE = 0.8
const EVENTS_TO_BLOCK = 3
const EVENTS_MS = 300_000
const BLOCK_MS = 3_600_000
const GOOD_REQUESTS = 1_000
const HISTORY = 10_000
const MAX_SOURCES = 100_000
const BURST_MS = 10_000
const BURST = 100

export class Scorer {
  #sources = new Map()
  /** Goes on where it stopped: a new one would pass over all that was deleted before. */
  #oldest = this.#sources.keys()
  #trusted = new Set()
  #blockedUntil = new Map()

  /** @returns for how many milliseconds the source is refused, 0 if it is let through */
  check(ip, path, now) {
    const until = this.#blockedUntil.get(ip) ?? 0
    if (until > now) return until - now
    if (this.#trusted.has(ip)) return 0
    const source = this.#source(ip)
    const score = source.score(path, now)
    if (score < SUSPICIOUS) {
      if (++source.good >= GOOD_REQUESTS) this.#trusted.add(ip)
      return 0
    }
    source.events = source.events.filter((time) => time > now - EVENTS_MS)
    source.events.push(now)
    if (source.events.length < EVENTS_TO_BLOCK && score < BLOCK_AT_ONCE) return 1_000
    this.#blockedUntil.set(ip, now + BLOCK_MS)
    return BLOCK_MS
  }

  /** Of the 100,000 sources used last, which is how many it keeps. */
  #source(ip) {
    const known = this.#sources.get(ip)
    if (known !== undefined) this.#sources.delete(ip)
    const source = known ?? new Source()
    this.#sources.set(ip, source)
    if (this.#sources.size > MAX_SOURCES) {
      this.#sources.delete(this.#oldest.next().value)
    }
    return source
  }
}

class Source {
  good = 0
  events = []
  #times = []
  /** Indexes of the oldest time in the window, and in the last ten seconds. */
  #first = 0
  #burstFirst = 0
  /** How many gaps in a row were under half a second. */
  #shortGaps = 0
  /** Never forgotten. */
  #endpoints = new Set()

  score(path, now) {
    this.#record(path, now)
    const count = this.#times.length - this.#first
    const inBurst = this.#times.length - this.#burstFirst
    const score =
      rateScore(count / (WINDOW_MS / 1_000)) +
      endpointScore(this.#endpoints.size) +
      (count >= 10 && inBurst > BURST ? Math.min(0.2, 0.2 * (inBurst / BURST - 1)) : 0) +
      (count >= 20 && (now - this.#times[this.#first]) / (count - 1) < 100 ? 0.2 : 0) +
      (count >= 20 && this.#shortGaps >= 19 ? 0.1 : 0)
    // Sums of tenths come out a little under or over.
    return Math.min(1, Math.round(score * 1e9) / 1e9)
  }

  #record(path, now) {
    const times = this.#times
    const gap = now - (times.at(-1) ?? Number.NEGATIVE_INFINITY)
    this.#shortGaps = gap < 500 ? this.#shortGaps + 1 : 0
    times.push(now)
    this.#endpoints.add(path)
    this.#first = Math.max(this.#first, times.length - HISTORY)
    while (times[this.#first] <= now - WINDOW_MS) this.#first++
    this.#burstFirst = Math.max(this.#burstFirst, this.#first)
    while (times[this.#burstFirst] <= now - BURST_MS) this.#burstFirst++
    if (this.#first > 2 * HISTORY) this.#forget()
  }

  #forget() {
    this.#times.splice(0, this.#first)
    this.#burstFirst -= this.#first
    this.#first = 0
  }
}

/** Over the threshold it starts from 0 again, as in the original. */
function rateScore(rate) {
  const part = rate / THRESHOLD_PER_SECOND
  if (part > 1) return Math.min(0.4, 0.4 * (part - 1))
  return part > 0.5 ? 0.2 * (2 * part - 1) : 0
}

function endpointScore(count) {
  const part = count / MAX_ENDPOINTS
  if (part > 1) return Math.min(0.3, 0.3 * (part - 1))
  return part > 0.5 ? 0.15 * (2 * part - 1) : 0
}
