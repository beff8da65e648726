// Replaces a configuration file again and again, with good and broken files at random, while clients ask as fast as
// they are answered. Prints what was admitted, by an independent log, and what the bounds are.
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { loadConfig } from 'ratethrottle/config'
import { rateThrottle } from 'ratethrottle/http'

const [count = '10000', seed = '1'] = process.argv.slice(2)
const reloads = Number(count)
const WINDOW_MS = 1_000
const KEYS = 4
const LIMITERS = ['token-bucket', 'fixed-window', 'sliding-window', 'sliding-log']
const COUNTS = [5, 20, 60]

let state = Number(seed) >>> 0
/** mulberry32. */
function random() {
  state = (state + 0x6d2b79f5) >>> 0
  let t = Math.imul(state ^ (state >>> 15), state | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const pick = (from) => from[Math.floor(random() * from.length)]

const folder = mkdtempSync(join(tmpdir(), 'ratethrottle-reloads-'))
const path = join(folder, 'limits.json')
/** The counts of the file that was written last. */
let written = []
/** What is live, and since when. */
let live

/** A good file: other counts, and other things that change beside them. */
function good() {
  written = LIMITERS.map((_, i) => (random() < 0.02 ? pick(COUNTS) : (live?.counts[i] ?? 20)))
  const limiters = Object.fromEntries(
    LIMITERS.map((algorithm, i) => [algorithm, { algorithm, limits: `${written[i]}/second` }]),
  )
  const more = pick([
    {},
    { message: 'slow down' },
    { headers: pick(['draft', 'both', false]) },
    { status: 420, problem: true },
    { shield: { mode: 'watch', sources: pick([64, 128]) } },
    { maxWaiters: pick([10, 20]) },
  ])
  for (let i = Math.floor(random() * 4); i > 0; i--) {
    const algorithm = pick(LIMITERS)
    limiters[`other-${i}`] = {
      algorithm,
      limits: `${pick(COUNTS)}/minute`,
      capacity: pick([100, 1_000]),
    }
  }
  const routes = Object.fromEntries(LIMITERS.map((name) => [`GET /${name}/:id`, name]))
  return JSON.stringify(
    { ...more, limiters, routes: { ...routes, '*': 'fixed-window' } },
    undefined,
    2,
  )
}

/** Files that would admit more, if they were taken, or for as long as they were. */
const BROKEN = [
  () => '',
  () => '{}',
  () => {
    const whole = good()
    return whole.slice(0, Math.floor(random() * (whole.length - 1)))
  },
  () => good().replace('limits', 'limts'),
  () => good().replace(/\d+\/second/, '1000000001/second'),
  () => good().replace('"*"', '"/*x"'),
  () =>
    good().replace('"routes"', '"storage": "redis://127.0.0.1:1", "connectTimeoutMs": 1, "routes"'),
  () => good().replaceAll('"fixed-window"', '"none"'),
  () => '{"limiters":{"a":{"limits":"1000000/second"}},"routes":{"*":false},"unknown":1}',
  () => Buffer.from([0xff, 0xfe, 0, 1, 2]),
]

writeFileSync(path, good())
live = { counts: written, at: performance.now() }
/** By limiter: the counts that were live, each until the next. */
const history = LIMITERS.map((_, i) => [{ from: live.at, count: written[i] }])
/** By limiter: units that its limits allowed so far, by the clock. */
const allowed = LIMITERS.map(() => 0)

/**
 * A bucket fills at the rate of its limit. A window admits up to the highest limit that held while it lasted: what was
 * admitted under one limit is still there under the next.
 */
function account(now) {
  for (const [i, name] of LIMITERS.entries()) {
    const since = now - 2 * WINDOW_MS
    while (history[i].length > 1 && history[i][1].from < since) history[i].shift()
    const most = Math.max(...history[i].map(({ count: one }) => one))
    const rate = name === 'token-bucket' ? live.counts[i] : most
    allowed[i] += (rate * (now - live.at)) / WINDOW_MS
  }
  live.at = now
}

const config = await loadConfig(path)
const limiter = rateThrottle({ config, key: (request) => request.headers['x-key'] })
/** The independent log: handler runs by limiter and key, and those that no limiter had decided about. */
const runs = new Map()
let unlimited = 0
const server = createServer(
  limiter.wrap((request, response) => {
    if (request.rateLimit == null) unlimited++
    const name = `${request.url.split('/')[1]} ${request.headers['x-key']}`
    runs.set(name, (runs.get(name) ?? 0) + 1)
    response.end('ok')
  }),
).listen(0, '127.0.0.1')
await once(server, 'listening')

const { port } = server.address()
const paths = LIMITERS.map((name) => `/${name}/1`)
const load = new Worker(new URL('load.mjs', import.meta.url), {
  workerData: { port, keys: KEYS, paths },
})
const memory = () => {
  globalThis.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heapUsed }
}

const swaps = []
const times = []
const sizes = []
let taken = 0
let mistaken = 0
for (let i = 0; i < reloads; i++) {
  const isGood = random() < 0.5
  const content = isGood ? good() : pick(BROKEN)()
  const counts = written
  if (random() < 0.5) writeFileSync(path, content)
  else {
    writeFileSync(`${path}.new`, content)
    renameSync(`${path}.new`, path)
  }
  const { ok, swapMs, tookMs, changed } = await config.reload()
  if (ok !== isGood) mistaken++
  if (ok) {
    // The old counts hold until here, at the latest: the bound is not too low.
    account(performance.now())
    live.counts = counts
    for (const [i, one] of counts.entries()) history[i].push({ from: live.at, count: one })
    swaps.push(swapMs)
    times.push(tookMs)
    if (changed.length > 0) taken++
  }
  if (i % Math.ceil(reloads / 5) === 0 || i === reloads - 1) sizes.push(memory())
  await new Promise((resolve) => setTimeout(resolve, 1 + random() * 8))
}
account(performance.now())
load.postMessage('stop')
const [client] = await once(load, 'message')
account(performance.now())

const above = []
for (const [i, name] of LIMITERS.entries()) {
  for (let key = 0; key < KEYS; key++) {
    const admitted = runs.get(`${name} key-${key}`) ?? 0
    // What the limits allow by the clock, a full window at the start, and a window of the old limit.
    const bound = allowed[i] + 2 * Math.max(...COUNTS)
    if (admitted > bound || admitted < allowed[i] / 8) above.push({ name, key, admitted, bound })
  }
}
const sorted = (numbers) => numbers.toSorted((a, b) => a - b)
const at = (numbers, share) => sorted(numbers)[Math.floor((numbers.length - 1) * share)]
const { retiring } = config.state()
config.close()
server.closeAllConnections()
server.close()
rmSync(folder, { recursive: true })
console.log(
  JSON.stringify({
    reloads,
    taken,
    mistaken,
    unlimited,
    above,
    admitted: [...runs.values()].reduce((sum, one) => sum + one, 0),
    asked: client.asked,
    statuses: client.statuses,
    swapMs: { p50: at(swaps, 0.5), max: at(swaps, 1) },
    tookMs: { p50: at(times, 0.5), p99: at(times, 0.99) },
    retiring,
    sizes,
  }),
)
