import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { insightPage } from '../../../dist/insight/page/index.js'
import { Streams } from '../../../dist/insight/page/streams.js'
import type { Snapshot } from '../../../ts/insight/page/client/snapshot.ts'
import { run } from '../../fixtures/child.ts'
import { busyReport, FakeView } from './fake-view.ts'
import { ask, later, listen, openStream, servePage, until } from './serve.ts'

const CLIENTS = 1_000

function figuresIn(text: string): Snapshot[] {
  const lines = text.split('\n\n').filter((part) => part.startsWith('data: '))
  return lines.slice(0, lines.length).map((line) => JSON.parse(line.slice(6)) as Snapshot)
}

it('sends all steps at once and the newest ones each second', async () => {
  const { url, view } = await servePage()
  const stream = await openStream(url)
  expect([stream.status, stream.headers['content-type']]).toEqual([
    200,
    'text/event-stream; charset=utf-8',
  ])
  expect(stream.headers['x-accel-buffering']).toBe('no')
  await until(() => /\n\ndata: .*\n\n/.test(stream.text()))
  view.now = { admitted: 7, denied: 3 }
  await until(() => figuresIn(stream.text().replace(/\n\n[^\n]*$/, '')).length >= 2)
  const [first, second] = figuresIn(stream.text().replace(/\n\n[^\n]*$/, ''))
  expect(first?.series).toMatchObject({ isWhole: true, stepMs: 1_000, steps: 600 })
  expect(first?.series.limits[0]?.admitted).toHaveLength(600)
  expect(second?.series.isWhole).toBe(false)
  expect(second?.series.limits[0]?.admitted.at(-1)).toBe(7)
  stream.leave()
})

it.each([
  ['24h', 60_000, 1_440],
  ['30d', 3_600_000, 720],
  ['1 year', 1_000, 600],
])('knows the range %s', async (range, stepMs, steps) => {
  const { url } = await servePage()
  const { body } = await ask(`${url}?figures=once&range=${encodeURIComponent(range)}`)
  expect((JSON.parse(body) as Snapshot).series).toMatchObject({ isWhole: true, stepMs, steps })
})

it('no more than maxStreams are open: others get 503 and can still ask once', async () => {
  const { url } = await servePage({ authorize: () => true, maxStreams: 20 })
  const streams = await Promise.all(Array.from({ length: CLIENTS }, () => openStream(url)))
  const open = streams.filter(({ status }) => status === 200)
  const refused = streams.filter(({ status }) => status === 503)
  expect([open.length, refused.length]).toEqual([20, CLIENTS - 20])
  expect(refused[0]?.headers['retry-after']).toBe('5')
  expect((await ask(`${url}?figures=once`)).status).toBe(200)
  for (const { leave } of open) leave()
  // Each place is free again.
  let next = await openStream(url)
  for (let i = 0; i < 200 && next.status !== 200; i++) next = await openStream(url)
  expect(next.status).toBe(200)
  for (const { leave } of [...streams, next]) leave()
})

it('what a snapshot costs does not grow with those who look', async () => {
  const { url, view } = await servePage({ authorize: () => true, maxStreams: 100 })
  const streams = await Promise.all(Array.from({ length: 100 }, () => openStream(url)))
  await until(() =>
    streams.every(({ text }) => figuresIn(text().replace(/\n\n[^\n]*$/, '')).length > 0),
  )
  await Promise.all(Array.from({ length: 100 }, () => ask(`${url}?figures=once`)))
  expect(view.reports).toBeLessThan(100)
  for (const { leave } of streams) leave()
})

it('a server that closes ends its live pages and is closed', async () => {
  const view = new FakeView()
  view.figures = busyReport()
  const server = createServer(insightPage(view, { authorize: () => true }))
  const url = await listen(server)
  const streams = await Promise.all([1, 2, 3].map(() => openStream(url)))
  const closed = new Promise((resolve) => server.once('close', resolve))
  server.close()
  await Promise.all([closed, ...streams.map(({ ended }) => ended)])
  later(() => server.listen(0))
})

it('page.close ends the live pages at once', async () => {
  const page = insightPage(new FakeView(), { authorize: () => true })
  const url = await listen(createServer(page))
  const stream = await openStream(url)
  page.close()
  await stream.ended
  expect((await openStream(url)).status).toBe(503)
  expect((await ask(`${url}?figures=once`)).status).toBe(200)
})

it('a process with an open live page ends when its server closes, and no page keeps it alive', async () => {
  const { code, out, err } = await run('insight/page/ends.mjs')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toBe('live\nclosed\n')
})

it('for a client that takes nothing figures do not pile up', async () => {
  const view = new FakeView()
  view.figures = busyReport()
  const sockets: Socket[] = []
  const page = insightPage(view, { authorize: () => true })
  const server = createServer(page).on('connection', (socket: Socket) => sockets.push(socket))
  const { port } = new URL(await listen(server))
  const client = connect(Number(port), '127.0.0.1')
  later(() => client.destroy())
  client.on('error', () => undefined)
  client.pause()
  // Far more than what two sockets hold: it is as if the client had taken nothing for minutes.
  const [name, ...rest] = view.figures.limits
  view.figures = {
    ...view.figures,
    limits: [{ ...name, name: 'n'.repeat(2 ** 23) }, ...rest],
  } as never
  client.write('GET /?figures=live HTTP/1.1\r\nhost: x\r\n\r\n')
  await until(() => (sockets[0]?.writableLength ?? 0) > 2 ** 20)
  const waiting = sockets[0]?.writableLength ?? 0
  await new Promise((resolve) => setTimeout(resolve, 2_200))
  expect(sockets[0]?.writableLength).toBeLessThanOrEqual(waiting)
})

it('a stream is dropped when its client takes nothing for half a minute, or after five minutes', () => {
  const ticks: (() => void)[] = []
  const cleared: unknown[] = []
  const [real, realClear, realNow] = [setInterval, clearInterval, performance.now]
  let now = 0
  Object.assign(globalThis, {
    setInterval: (tick: () => void) => {
      ticks.push(tick)
      return { unref: () => 'timer' }
    },
    clearInterval: (timer: unknown) => cleared.push(timer),
  })
  performance.now = () => now
  try {
    const streams = new Streams({ text: () => '{}' } as never, 10)
    const ended: string[] = []
    const sink = (name: string, isClogged: boolean) => ({
      isOver: false,
      isClogged,
      write: () => undefined,
      end: () => ended.push(name),
    })
    streams.open('10m', sink('stuck', true))
    streams.open('10m', sink('reads', false))
    const seconds = (count: number): void => {
      for (let i = 0; i < count; i++) {
        now += 1_000
        ticks[0]?.()
      }
    }
    seconds(25)
    expect(ended).toEqual([])
    seconds(10)
    expect(ended).toEqual(['stuck'])
    seconds(260)
    expect(ended).toEqual(['stuck'])
    seconds(10)
    expect(ended).toEqual(['stuck', 'reads'])
    expect([ticks.length, cleared, streams.size]).toEqual([1, ['timer'], 0])
  } finally {
    Object.assign(globalThis, { setInterval: real, clearInterval: realClear })
    performance.now = realNow
  }
})
