import { Agent, request } from 'node:http'

/** A client that takes longer has given up. */
const PATIENCE_MS = 5_000
/** Bots wait for no answer, but a machine has only so many sockets. */
const MAX_BOTS_IN_FLIGHT = 2_000

/** The status of one request: 0 if it got no answer. */
function ask(port, localAddress, agent) {
  return new Promise((resolve) => {
    const call = request({ host: '127.0.0.1', port, localAddress, agent }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
      response.on('error', () => resolve(0))
    })
    call.setTimeout(PATIENCE_MS, () => call.destroy())
    call.on('error', () => resolve(0))
    call.end()
  })
}

/** Addresses of the loopback network, one for each number. */
export const address = (net, i) => `127.${net}.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`

/** No group's requests come before another's. */
const SPREAD_MS = 20

/** Sends requests evenly, each client in its turn, until it is stopped. */
export function evenly(perSecond, send) {
  const start = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const due = ((performance.now() - start) / 1_000) * perSecond
    // After a pause no more than a tenth of a second is made up for.
    sent = Math.max(sent, Math.floor(due - perSecond / 10))
    while (sent < due) setTimeout(send, Math.random() * SPREAD_MS, sent++)
  }, 5)
  return () => clearInterval(timer)
}

/** After so long an attack is no news. */
const SETTLED_MS = 10_000

function p99(times) {
  times.sort((a, b) => a - b)
  return Math.round(times[Math.floor(times.length * 0.99)] ?? Number.NaN)
}

/** People who come back over their open connections. */
export class Regulars {
  #agents
  #port
  #counts = { sent: 0, served: 0, times: [], late: [] }
  #countedFrom = 0
  #isCounting = false
  #inFlight = new Set()
  stop

  constructor(port, count, each) {
    this.#port = port
    this.#agents = Array.from({ length: count }, () => new Agent({ keepAlive: true }))
    this.stop = evenly(count * each, (i) => this.#send(i % count))
  }

  /** From now on. */
  count() {
    this.#isCounting = true
    this.#countedFrom = performance.now()
  }

  #send(i) {
    const isCounted = this.#isCounting
    const start = performance.now()
    const asked = ask(this.#port, address(10, i), this.#agents[i]).then((status) => {
      this.#inFlight.delete(asked)
      if (!isCounted) return
      this.#counts.sent++
      if (status !== 200) return
      this.#counts.served++
      this.#counts.times.push(performance.now() - start)
      if (start - this.#countedFrom > SETTLED_MS) this.#counts.late.push(performance.now() - start)
    })
    this.#inFlight.add(asked)
  }

  async result() {
    this.stop()
    await Promise.all(this.#inFlight)
    for (const agent of this.#agents) agent.destroy()
    const { sent, served, times, late } = this.#counts
    return { sent, share: served / sent, p99Ms: p99(times), lateP99Ms: p99(late) }
  }
}

/** Bots, each within any limit, that ignore what they are told. */
export function startBots(port, count, each) {
  const agent = new Agent()
  const counts = { sent: 0, served: 0 }
  let inFlight = 0
  const stop = evenly(count * each, (i) => {
    if (inFlight >= MAX_BOTS_IN_FLIGHT) return
    inFlight++
    counts.sent++
    void ask(port, address(66, i % count), agent).then((status) => {
      inFlight--
      if (status === 200) counts.served++
    })
  })
  return { counts, stop }
}
