import { Agent, request } from 'node:http'

/** A page has so many requests at least, and so many more at most. */
const PAGE = [3, 6]
const PAGES = 8
/** Seconds between the requests of a page, and between pages, before they are compressed. */
const GAP = 0.15
const THINK = 15
/** Share of the requests whose page is missing. */
const FAILING = 0.02
const PATIENCE_MS = 10_000

/** Three crowds, each for a twentieth of the day, that bring the load to all of `most`. */
const CROWDS = [0.25, 0.5, 0.8]
const CROWD = 0.05

/** Share of the most that comes at a time of the day, 0 to 1: a rhythm, and crowds. */
function shareAt(time) {
  if (CROWDS.some((begin) => time >= begin && time < begin + CROWD)) return 1
  return 0.45 - 0.25 * Math.cos(2 * Math.PI * time)
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
const exponential = (mean) => -Math.log(1 - Math.random()) * mean

/** A day of people who come, read some pages and leave, in so many seconds. */
export class Day {
  counts = { sent: 0, refused: 0, lost: 0, visits: 0, times: [] }
  #port
  #compression
  #visitors = 0
  #isOver = false

  /** @param compression by how much all that people do is faster */
  constructor(port, compression) {
    this.#port = port
    this.#compression = compression
  }

  /** @param most requests a second at most */
  async run(seconds, most) {
    const start = performance.now()
    const visits = new Set()
    const perVisit = PAGES * (PAGE[0] + PAGE[1] / 2)
    for (;;) {
      const time = (performance.now() - start) / 1_000 / seconds
      if (time >= 1) break
      await pause(exponential(perVisit / (most * shareAt(time))))
      const visit = this.#visit().finally(() => visits.delete(visit))
      visits.add(visit)
    }
    this.#isOver = true
    await Promise.all(visits)
  }

  get result() {
    const { times, ...counts } = this.counts
    times.sort((a, b) => a - b)
    return { ...counts, p99Ms: Math.round(times[Math.floor(times.length * 0.99)] ?? Number.NaN) }
  }

  async #visit() {
    const n = this.#visitors++ % 60_000
    const localAddress = `127.${20 + Math.floor(n / 60_000)}.${Math.floor(n / 250)}.${1 + (n % 250)}`
    const agent = new Agent({ keepAlive: true, maxSockets: 6 })
    this.counts.visits++
    const answers = []
    for (let page = 0; page < PAGES && !this.#isOver; page++) {
      const requests = PAGE[0] + Math.floor(Math.random() * (PAGE[1] + 1))
      for (let i = 0; i < requests; i++) {
        answers.push(this.#ask(localAddress, agent))
        await pause(GAP / this.#compression)
      }
      await pause(exponential(THINK / this.#compression))
    }
    await Promise.all(answers)
    agent.destroy()
  }

  #ask(localAddress, agent) {
    const { counts } = this
    const start = performance.now()
    const path = Math.random() < FAILING ? '/missing' : '/'
    counts.sent++
    return new Promise((resolve) => {
      const call = request({ host: '127.0.0.1', port: this.#port, path, localAddress, agent })
      call.setTimeout(PATIENCE_MS, () => call.destroy(new Error('too late')))
      call.on('error', () => {
        counts.lost++
        resolve()
      })
      call.on('response', (response) => {
        if (response.statusCode === 429 || response.statusCode === 503) counts.refused++
        else counts.times.push(performance.now() - start)
        response.resume()
        response.on('close', resolve)
      })
      call.end()
    })
  }
}
