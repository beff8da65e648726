// A day without an attack and then a flood, for a server that computes, whose shield finds out what it can do:
// npm run range:auto
//
//   --framework fastify,express   --work 2   ms of computing for each request
//   --day 900   seconds of people who come and go, with crowds   --most 0.7   share of the capacity that they take at most
//   --compression 4   by how much all that people do is faster than it was
//   --flood 3   times the capacity   --attack 60   seconds of it   --bots 2000   addresses
//   --regulars 50   people who are there all the time, each with a request a second   --after 45   seconds until they are
//   --calm 15   seconds after the attack   --only-shield   not without it   --json   a line for each run
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Regulars } from './clients.mjs'
import { startFlood } from './flood.mjs'
import { Day } from './people.mjs'

const DEFAULTS = {
  framework: 'fastify,express',
  work: '2',
  day: '900',
  most: '0.7',
  compression: '4',
  flood: '3',
  attack: '60',
  bots: '2000',
  regulars: '50',
  after: '45',
  calm: '15',
}
/** Seconds in which the server does all it can. */
const MEASURE = 4

const flags = Object.fromEntries(
  Object.entries(DEFAULTS).map(([name, value]) => [name, { type: 'string', default: value }]),
)
const BOOLEAN = { type: 'boolean', default: false }
const { values } = parseArgs({ options: { ...flags, json: BOOLEAN, 'only-shield': BOOLEAN } })
const number = (name) => {
  const value = Number(values[name])
  if (value > 0 && value <= 10_000) return value
  throw new RangeError(`--${name} must be a number above 0 and at most 10000`)
}
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
const rounded = (value) => Math.round(value * 1_000) / 10

async function start(framework, isShielded) {
  const regulars = { after: number('after') * 1_000, requests: 4 }
  const options = { framework, isShielded, workMs: number('work'), regulars }
  const server = fileURLToPath(import.meta.resolve('./server.mjs'))
  const child = fork(server, [JSON.stringify(options)])
  const pressure = []
  child.on('message', (message) => {
    if (message.pressure !== undefined) pressure.push(message)
  })
  const [{ port }] = await once(child, 'message')
  return { child, port, pressure }
}

/** Requests a second that the server can do. */
async function measure(framework) {
  const { child, port } = await start(framework, false)
  const flood = startFlood(port, 16, 5_000)
  await pause(1)
  const before = flood.counts.served
  await pause(MEASURE)
  const served = flood.counts.served - before
  flood.stop()
  child.disconnect()
  return served / MEASURE
}

async function run(framework, isShielded) {
  const capacity = await measure(framework)
  const { child, port, pressure } = await start(framework, isShielded)
  const count = number('regulars')
  const regulars = new Regulars(port, count, 1)
  const day = new Day(port, number('compression'))
  await day.run(number('day'), Math.max(1, number('most') * capacity - count))
  const duringDay = pressure.length
  regulars.count()
  const attackAt = Date.now()
  const flood = startFlood(port, number('bots'), number('flood') * capacity)
  await pause(number('attack'))
  flood.stop()
  const { sent, share, p99Ms, lateP99Ms } = await regulars.result()
  const endedAt = Date.now()
  await pause(isShielded ? number('calm') : 0)
  child.disconnect()
  const [began] = pressure.slice(duringDay)
  const ended = pressure.at(-1)
  return {
    framework,
    shield: isShielded,
    'capacity/s': Math.round(capacity),
    'day sent': day.result.sent,
    'day refused': day.result.refused,
    'day lost': day.result.lost,
    'day p99 ms': day.result.p99Ms,
    'day pressure': duringDay,
    'regulars sent': sent,
    'regulars served %': rounded(share),
    'p99 ms': p99Ms,
    'p99 ms after 10 s': lateP99Ms,
    'bots sent': flood.counts.sent,
    'bots served %': rounded(flood.counts.served / flood.counts.sent),
    'seen after s': began === undefined ? undefined : (began.at - attackAt) / 1_000,
    'calm after s': ended?.pressure === false ? (ended.at - endedAt) / 1_000 : undefined,
  }
}

const rows = []
for (const framework of values.framework.split(',')) {
  for (const isShielded of [false, true].slice(values['only-shield'] ? 1 : 0)) {
    const row = await run(framework, isShielded)
    rows.push(row)
    if (values.json) console.log(JSON.stringify(row))
  }
}
// One column for each run: the rows are too wide for a terminal.
if (!values.json) {
  const names = Object.keys(rows[0] ?? {})
  console.table(Object.fromEntries(names.map((name) => [name, rows.map((row) => row[name])])))
}
