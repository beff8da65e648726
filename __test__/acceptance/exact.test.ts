import { connect } from 'node:net'
import { byUser, FakeClock, firstOf } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { type LimitedSite, type Options, SERVERS, type Served, serveSite } from '../http/serve.ts'

const CONNECTIONS = 200
const PER_CONNECTION = 5
const REQUEST = 'GET / HTTP/1.1\r\nhost: x\r\n'

/** Ways to have one limit of 300 for all clients. */
const LIMITS: readonly (readonly [string, LimitedSite])[] = [
  ['one limit for everything', siteOf({ limits: '300/hour' })],
  ['one limit on the route', siteOf({}, { limits: '300/hour' })],
  ['two limits in a list', siteOf({}, { limits: ['700/hour', '300/day'] })],
  ['two limits in a row', siteOf({}, { stacked: ['700/hour', '300/day'] })],
  ['two in a row, the tighter first', siteOf({}, { stacked: ['300/day', '700/hour'] })],
  ['a key that takes a while', siteOf({ key: firstOf(byUser(later)) }, { limits: '300/hour' })],
]

/** Short: every way is asked in one of the two ways, the first and the last in both. */
const isAmong = (index: number, part: 0 | 1): boolean =>
  byLength(index % 2 === part || index === 0 || index === LIMITS.length - 1, true)

function siteOf(options: Options, route: object = {}): LimitedSite {
  return { options: { ...options, clock: new FakeClock() }, routes: [{ path: '/', ...route }] }
}

async function later(): Promise<string> {
  await new Promise((resolve) => setImmediate(resolve))
  return 'all clients'
}

describe.each(SERVERS)('%s: exactly N of limit N under 200 keep-alive connections', (framework) => {
  it.each(LIMITS.filter((_, i) => isAmong(i, 0)))(
    'one request after another on each connection, %s',
    async (_, site) => {
      await check(await serveSite(framework, site), oneByOne)
    },
  )

  it.each(LIMITS.filter((_, i) => isAmong(i, 1)))(
    'five requests in one write on each connection, %s',
    async (_, site) => {
      await check(await serveSite(framework, site), pipelined)
    },
  )
})

/** 1,000 requests, of which 300 reach the handler and come back as served. */
async function check(served: Served, send: (port: number) => Promise<string>): Promise<void> {
  let connections = 0
  served.server.on('connection', () => {
    connections++
  })
  const answers = await Promise.all(Array.from({ length: CONNECTIONS }, () => send(served.port)))
  const statuses = answers.map((text) => [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, s]) => s))
  expect(connections).toBe(CONNECTIONS)
  expect(statuses.every((list) => list.length === PER_CONNECTION)).toBe(true)
  // More than one connection was served, or there was no race.
  expect(statuses.filter((list) => list.includes('200')).length).toBeGreaterThan(1)
  const all = statuses.flat()
  expect(all.filter((status) => status === '200')).toHaveLength(300)
  expect(all.filter((status) => status === '429')).toHaveLength(700)
  expect(served.runs()).toBe(300)
}

/** All requests at once. The last one ends the connection. */
function pipelined(port: number): Promise<string> {
  const last = `${REQUEST}connection: close\r\n\r\n`
  const requests = [...Array(PER_CONNECTION - 1).fill(`${REQUEST}\r\n`), last]
  return talk(port, (socket) => {
    socket.write(requests.join(''))
  })
}

/** The next request when the answer to the one before has begun. */
function oneByOne(port: number): Promise<string> {
  return talk(port, (socket) => {
    let sent = 0
    const next = (): void => {
      sent++
      const close = sent === PER_CONNECTION ? 'connection: close\r\n' : ''
      if (sent <= PER_CONNECTION) socket.write(`${REQUEST}${close}\r\n`)
    }
    socket.on('data', (data) => {
      if (data.includes('HTTP/1.1 ')) next()
    })
    next()
  })
}

/** Everything a server says until it ends the connection. */
function talk(port: number, start: (socket: ReturnType<typeof connect>) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (data) => {
      text += data.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
    start(socket)
  })
}
