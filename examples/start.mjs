// npm start, in a checkout: serves the example, sends itself a burst of real requests and shows what came of it:
// in a table, and on a page that goes on while clients keep asking.
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { buildService } from './dist/fastify.js'

/** The limits of examples/fastify.ts. */
const LIMITS = {
  '/api/public': '100/minute',
  '/api/protected': '1000/minute',
  '/api/report': '10/minute, 50/hour',
}
/** One client's burst, and how much of it the limits of examples/fastify.ts admit. */
const BURSTS = [
  { method: 'GET', path: '/api/public', client: 'ip:127.0.0.1', sent: 130, admitted: 100 },
  { method: 'GET', path: '/api/public', client: 'ip:127.0.0.2', sent: 60, admitted: 60 },
  { method: 'GET', path: '/api/public', client: 'user:ada', sent: 120, admitted: 100 },
  { method: 'GET', path: '/api/protected', client: 'user:ada', sent: 300, admitted: 300 },
  { method: 'GET', path: '/api/protected', client: 'user:bob', sent: 1100, admitted: 1000 },
  { method: 'POST', path: '/api/report', client: 'user:ada', sent: 15, admitted: 10 },
  { method: 'POST', path: '/api/report', client: 'ip:127.0.0.3', sent: 12, admitted: 10 },
]
const IN_FLIGHT = 20
/** Clients that keep asking while the page is looked at, and how many requests each sends in ten seconds: up to 100. */
const VISITORS = [
  { method: 'GET', path: '/api/public', client: 'ip:127.0.0.1', sent: 60 },
  { method: 'GET', path: '/api/public', client: 'ip:127.0.0.2', sent: 12 },
  { method: 'GET', path: '/api/public', client: 'user:eve', sent: 15 },
  { method: 'GET', path: '/api/protected', client: 'user:ada', sent: 90 },
  { method: 'GET', path: '/api/protected', client: 'user:bob', sent: 70 },
  { method: 'GET', path: '/api/protected', client: 'user:eve', sent: 90 },
  { method: 'POST', path: '/api/report', client: 'user:ada', sent: 5 },
]

function readArguments() {
  try {
    const options = { once: { type: 'boolean', default: false }, help: { type: 'boolean' } }
    return parseArgs({ options }).values
  } catch (error) {
    console.error(`${error.message}\nUsage: npm start [-- --once]`)
    process.exit(2)
  }
}

/** Sends one request from the client's address, or with the client's name. */
function send(port, { method, path, client }) {
  const [kind, name] = client.split(':')
  const headers = kind === 'user' ? { 'x-user': name } : {}
  const localAddress = kind === 'ip' ? name : '127.0.0.1'
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port, method, path, headers, localAddress },
      (res) => {
        res.resume()
        res.on('end', () =>
          resolve({ status: res.statusCode, retryAfter: res.headers['retry-after'] }),
        )
      },
    )
    call.on('error', reject)
    call.end()
  })
}

async function sendBurst(port, burst) {
  const seen = { admitted: 0, denied: 0, retryAfter: '-' }
  const count = ({ status, retryAfter }) => {
    if (status === 429) {
      seen.denied++
      if (seen.retryAfter === '-') seen.retryAfter = `${retryAfter} s`
    } else if (status === 200) seen.admitted++
  }
  for (let left = burst.sent; left > 0; left -= IN_FLIGHT) {
    const batch = Array.from({ length: Math.min(left, IN_FLIGHT) }, () => send(port, burst))
    for (const answer of await Promise.all(batch)) count(answer)
  }
  return { ...burst, ...seen, expected: burst.admitted }
}

/** The example with the page beside it. Who has the token sees the page. */
async function serve(token) {
  // These clients are made up. A real service keeps the default, which shows a hash in place of each key.
  const view = insight({ keys: 'plain' })
  const app = await buildService({ insight: view })
  const page = view.page({
    title: 'Rate limits of the example',
    authorize: (req) => req.query.token === token,
  })
  await app.register(page.fastify, { prefix: '/limits' })
  await app.listen({ host: '127.0.0.1', port: readPort() })
  return app
}

/** Sends the visitors' requests, spread over time, until the process ends. */
async function keepAsking(port) {
  for (let tenth = 0; ; tenth++) {
    const now = VISITORS.filter(({ sent }) => (tenth * sent) % 100 < sent)
    await Promise.all([pause(100), ...now.map((visitor) => send(port, visitor).catch(() => {}))])
  }
}

function printTable(rows) {
  const head = ['route', 'limit', 'client', 'sent', 'admitted', 'denied', 'first Retry-After']
  const cells = rows.map((row) =>
    [
      `${row.method} ${row.path}`,
      LIMITS[row.path],
      row.client,
      row.sent,
      row.admitted,
      row.denied,
      row.retryAfter,
    ].map(String),
  )
  const widths = head.map((title, i) =>
    Math.max(title.length, ...cells.map((row) => row[i].length)),
  )
  const line = (row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd()
  console.log(line(head))
  console.log(widths.map((width) => '-'.repeat(width)).join('  '))
  for (const row of cells) console.log(line(row))
}

/** How often one limiter can be asked, from a loop of half a second over a thousand keys. */
function perSecond(method) {
  const limiter = new RateLimiter('1000000000/hour')
  const keys = Array.from({ length: 1000 }, (_, i) => `user:${i}`)
  const start = performance.now()
  let calls = 0
  while (performance.now() - start < 500) {
    for (const key of keys) limiter[method](key)
    calls += keys.length
  }
  const rate = (calls * 1000) / (performance.now() - start)
  limiter.close()
  return Math.round(rate).toLocaleString('en')
}

function readPort() {
  const port = Number(process.env.PORT ?? 0)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  console.error(`PORT must be an integer from 0 to 65535, not ${JSON.stringify(process.env.PORT)}`)
  process.exit(2)
}

const { once, help } = readArguments()
if (help) {
  console.log(
    'Usage: npm start [-- --once]\n  --once  exit after the table\n  PORT    environment: where to listen',
  )
  process.exit(0)
}
const token = randomBytes(16).toString('hex')
const app = await serve(token)
const { port } = app.server.address()
const page = `http://127.0.0.1:${port}/limits?token=${token}`
if (!once) console.log(`Watch it being limited, in a browser:\n  ${page}\n`)
const start = performance.now()
const rows = []
for (const burst of BURSTS) rows.push(await sendBurst(port, burst))
const seconds = (performance.now() - start) / 1000

printTable(rows)
const requests = rows.reduce((sum, row) => sum + row.sent, 0)
console.log(
  `\n${requests} requests in ${seconds.toFixed(1)} s, ${Math.round(requests / seconds)} HTTP requests per second`,
)
for (const method of ['allow', 'check']) {
  console.log(`${perSecond(method)} checks per second of limiter.${method} in this process`)
}

const wrong = rows.filter((row) => row.admitted !== row.expected)
for (const row of wrong) {
  console.error(
    `wrong: ${row.path} ${row.client} admitted ${row.admitted}, expected ${row.expected}`,
  )
}
if (once || wrong.length > 0) {
  await app.close()
  process.exitCode = wrong.length === 0 ? 0 : 1
} else {
  console.log(`\nServing on http://127.0.0.1:${port} until Ctrl-C. Try:`)
  console.log(`  curl -i http://127.0.0.1:${port}/api/public`)
  console.log(`  curl -i -X POST -H 'x-user: eve' http://127.0.0.1:${port}/api/report`)
  console.log(
    `\nSome clients keep asking, 127.0.0.1 more than its limit admits. Watch it:\n  ${page}`,
  )
  await keepAsking(port)
}
