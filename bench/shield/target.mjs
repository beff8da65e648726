import { Agent, request } from 'node:http'
import { CommandError } from '../command.mjs'

/** At most so many requests are on their way, and so many are sent in a second. */
const MAX_IN_FLIGHT = 1_000
const MAX_RATE = 3_000
const REGULARS = 50
const REGULAR_RATE = 1
const PATIENCE_MS = 5_000

/** The server to be tried: only one of this machine. */
export function readTarget(text) {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:') throw new CommandError(`--url takes an http URL, not '${text}'`)
  // Bots have addresses of 127.0.0.0/8: from them only IPv4 can be reached.
  const isHere = url.hostname === 'localhost' || /^127(\.\d{1,3}){3}$/.test(url.hostname)
  if (isHere) return { host: url.hostname === 'localhost' ? '127.0.0.1' : url.hostname, url }
  throw new CommandError(
    `--url takes a server of this machine (127.0.0.1 or localhost), not ${url.hostname}`,
  )
}

/**
 * Sends real requests: fifty regulars over kept connections for `calm` seconds, and for `seconds` more beside the bots
 * of a scenario, each from an address of its own in 127.0.0.0/8.
 *
 * @returns a table
 */
export async function tryTarget({ host, url }, scenario, { calm, seconds }) {
  const agents = Array.from({ length: REGULARS }, () => new Agent({ keepAlive: true }))
  const load = new Load({ host, port: url.port || 80, path: url.pathname + url.search })
  const regulars = load.group('regulars', REGULARS * REGULAR_RATE, (i) => ({
    localAddress: address(10, i % REGULARS),
    agent: agents[i % REGULARS],
  }))
  const before = await load.run([regulars], calm * 1_000)
  const rate = Math.min(scenario.bots * scenario.rate, MAX_RATE)
  const bots = load.group('bots', rate, (i) => ({
    localAddress: address(66, i % Math.min(Math.max(scenario.bots, 1), 62_500)),
    agent: false,
  }))
  const attacked = await load.run(rate > 0 ? [regulars, bots] : [regulars], seconds * 1_000)
  for (const agent of agents) agent.destroy()
  return toTable(scenario, [
    ...before.map((row) => ({ ...row, name: `${row.name}, before` })),
    ...attacked,
  ])
}

class Load {
  #target
  #inFlight = new Set()

  constructor(target) {
    this.#target = target
  }

  group(name, rate, from) {
    return { name, rate, from, next: 0 }
  }

  /** Each group sends at its rate; what does not fit on the way is left out, and counted. */
  async run(groups, ms) {
    const found = groups.map(({ name }) => ({ name, counts: {}, times: [], leftOut: 0 }))
    const start = performance.now()
    const sent = groups.map(() => 0)
    while (performance.now() - start < ms) {
      const elapsed = (performance.now() - start) / 1_000
      groups.forEach((group, i) => {
        const due = Math.floor(elapsed * group.rate)
        for (; sent[i] < due; sent[i]++) this.#send(group, found[i])
      })
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await Promise.all(this.#inFlight)
    return found
  }

  #send(group, found) {
    if (this.#inFlight.size >= MAX_IN_FLIGHT) {
      found.leftOut++
      return
    }
    const started = performance.now()
    const asked = ask({ ...this.#target, ...group.from(group.next++) }).then((status) => {
      this.#inFlight.delete(asked)
      found.counts[status] = (found.counts[status] ?? 0) + 1
      if (status === 200) found.times.push(performance.now() - started)
    })
    this.#inFlight.add(asked)
  }
}

/** The status of one request, or the code of its error. */
function ask(options) {
  return new Promise((resolve) => {
    const call = request(options, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode))
      response.on('error', (error) => resolve(error.code))
    })
    call.setTimeout(PATIENCE_MS, () =>
      call.destroy(Object.assign(new Error(), { code: 'timeout' })),
    )
    call.on('error', (error) => resolve(error.code ?? 'error'))
    call.end()
  })
}

const address = (net, i) => `127.${net}.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`

function toTable({ name, says }, found) {
  const statuses = [...new Set(found.flatMap(({ counts }) => Object.keys(counts)))].sort()
  return {
    title: `${name}, real requests: ${says}`,
    head: ['', ...statuses, 'not sent', 'p50 ms of 200', 'p99 ms of 200'],
    body: found.map(({ name: who, counts, times, leftOut }) => {
      times.sort((a, b) => a - b)
      const at = (part) => times[Math.floor(times.length * part)]?.toFixed(1) ?? ''
      return [
        who,
        ...statuses.map((status) => `${counts[status] ?? 0}`),
        `${leftOut}`,
        at(0.5),
        at(0.99),
      ]
    }),
  }
}
