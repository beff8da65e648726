// A botnet of real sockets beside regulars, with the shield and without: npm run range:live
//
//   --framework fastify,express   --bots 2000 --each 0.5   addresses of 127.0.0.0/8, and requests a second of each
//   --regulars 50 --warm 50 --attack 30   people who are there before, and seconds
//   --capacity 300   requests a second that the service can do   --after 45   seconds until a client is a regular
//   --json   a line for each run
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Regulars, startBots } from './clients.mjs'

const DEFAULTS = {
  framework: 'fastify,express',
  bots: '2000',
  each: '0.5',
  regulars: '50',
  warm: '50',
  attack: '30',
  capacity: '300',
  after: '45',
}
/** Requests a second of a regular. */
const REGULAR_RATE = 1
const REGULAR_REQUESTS = 4

const flags = Object.fromEntries(
  Object.entries(DEFAULTS).map(([name, value]) => [name, { type: 'string', default: value }]),
)
const { values } = parseArgs({ options: { ...flags, json: { type: 'boolean', default: false } } })
const number = (name) => {
  const value = Number(values[name])
  if (value > 0 && value <= 10_000) return value
  throw new RangeError(`--${name} must be a number above 0 and at most 10000`)
}
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))

async function run(framework, isShielded) {
  const options = {
    framework,
    isShielded,
    capacity: number('capacity'),
    regulars: { after: number('after') * 1_000, requests: REGULAR_REQUESTS },
  }
  const server = fileURLToPath(import.meta.resolve('./server.mjs'))
  const child = fork(server, [JSON.stringify(options)])
  const [{ port }] = await once(child, 'message')
  const state = async () => {
    child.send('state')
    return (await once(child, 'message'))[0]
  }
  const regulars = new Regulars(port, number('regulars'), REGULAR_RATE)
  await pause(number('warm'))
  const before = await state()
  regulars.count()
  const bots = startBots(port, number('bots'), number('each'))
  await pause(number('attack'))
  bots.stop()
  const after = await state()
  const { sent, share, p99Ms } = await regulars.result()
  child.disconnect()
  return {
    framework,
    shield: isShielded,
    'regulars sent': sent,
    'regulars served %': Math.round(share * 1_000) / 10,
    'p99 ms': p99Ms,
    'bots sent': bots.counts.sent,
    'bots served %': Math.round((bots.counts.served / bots.counts.sent) * 1_000) / 10,
    'CPU ms of the server': Math.round(after.cpuMs - before.cpuMs),
    blocked: after.state?.blocked ?? 0,
  }
}

const rows = []
for (const framework of values.framework.split(',')) {
  for (const isShielded of [false, true]) {
    const row = await run(framework, isShielded)
    rows.push(row)
    if (values.json) console.log(JSON.stringify(row))
  }
}
if (!values.json) console.table(rows)
