import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { rateThrottle } from 'ratethrottle/http'
import { expect, onTestFinished, test } from 'vitest'
import { onDone } from '../../ts/http/response-end.ts'
import { PATIENCE } from '../fixtures/patience.ts'
import { until } from '../redis/faults.ts'
import { serverForTest } from '../redis/server.ts'
import { gauge } from './gauge.ts'
import { serve } from './serve.ts'

// A limiter that is closed, as one of a configuration that was replaced, has requests under way that hold permits.

let names = 0
const key = (): string => 'k'

test.each(['memory:', 'shared:closed-early', 'redis:'])(
  '%s requests under way keep their permits when their limiter is closed',
  async (place) => {
    const storage = place === 'redis:' ? (await serverForTest()).url : place
    const name = `closed ${process.pid} ${names++}`
    const options = {
      concurrent: 1,
      name,
      storage,
      key,
      deadlineMs: 30_000,
      connectTimeoutMs: 60_000,
    }
    const inside = gauge()
    const closed = rateThrottle(options)
    const old = await listen(
      closed.wrap(async (_, response: ServerResponse) => {
        await inside.handle()
        response.end()
      }),
    )
    const first = fetch(old)
    await inside.reaches(1)
    closed.close()
    const next = await serve('node:http', options)
    expect((await next.ask()).status).toBe(429)
    inside.open()
    expect((await first).status).toBe(200)
    await until(async () => (await next.ask()).status === 200, PATIENCE, 'the permit')
  },
)

test('a response is done once, also if its handler ends it after its client has left', async () => {
  const [done, ended]: [string[], ServerResponse[]] = [[], []]
  const url = await listen((request, response) => {
    ended.push(response)
    onDone(response, () => done.push(request.url ?? ''))
  })
  const client = connect(Number(new URL(url).port))
  // The second one waits behind the first.
  client.write('GET /1 HTTP/1.1\r\nhost: a\r\n\r\nGET /2 HTTP/1.1\r\nhost: a\r\n\r\n')
  await expect.poll(() => ended.length).toBe(2)
  client.destroy()
  await expect.poll(() => done.length).toBe(2)
  for (const response of ended) response.end()
  await new Promise(setImmediate)
  expect(done.toSorted()).toEqual(['/1', '/2'])
})

/** Where a server with this handler is, until the test ends. */
async function listen(handler: NonNullable<Parameters<typeof createServer>[1]>): Promise<string> {
  const server: Server = createServer(handler).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a client that has left while its key was sought takes no place in the queue', async () => {
  const inside = gauge()
  const gone = new AbortController()
  const limiter = rateThrottle({
    concurrent: { perKey: 1, queue: 1 },
    key: async ({ url, socket }) => {
      if (url !== '/slow') return 'k'
      await once(socket, 'close')
      gone.abort()
      return 'k'
    },
  })
  const url = await listen(
    limiter.wrap(async (_, response: ServerResponse) => {
      await inside.handle()
      response.end()
    }),
  )
  const first = fetch(url)
  await inside.reaches(1)
  const left = fetch(`${url}/slow`, { signal: AbortSignal.timeout(50) }).catch(() => 'left')
  expect(await left).toBe('left')
  await expect.poll(() => gone.signal.aborted, { interval: 2 }).toBe(true)
  const second = fetch(url)
  await new Promise((resolve) => setTimeout(resolve, 50))
  inside.open()
  expect([(await first).status, (await second).status]).toEqual([200, 200])
})
