import { once } from 'node:events'
import { createServer, get, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { rateThrottle } from 'ratethrottle/http'
import { expect, onTestFinished, test } from 'vitest'

/* A limiter is closed while requests of its server are under way. */

/** Far below the waits of the requests, far above what a busy machine needs. */
const SOON_MS = 15_000

async function listen(
  listener: RequestListener,
): Promise<{ port: number; received(): Promise<unknown> }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, received: () => once(server, 'request') }
}

async function ask(port: number): Promise<number | string | undefined> {
  const answered = once(get({ host: '127.0.0.1', port, agent: false }), 'response')
  const late = pause(SOON_MS, undefined, { ref: false }).then(() => undefined)
  const found = await Promise.race([answered, late])
  if (found === undefined) return 'not answered'
  found[0].resume()
  return found[0].statusCode
}

/** A promise, and the function that resolves it. */
function gate<T>(): { opened: Promise<T>; open(value: T): void } {
  let open: (value: T) => void = () => {}
  const opened = new Promise<T>((resolve) => {
    open = resolve
  })
  return { opened, open: (value) => open(value) }
}

test('a request that does not count ends without an error after its limiter is closed', async () => {
  const errors: unknown[] = []
  const work = gate<void>()
  const onError = ({ error }: { error: unknown }): number => errors.push(error)
  const limiter = rateThrottle({ limits: '9/minute', countWhen: 'failure', onError })
  const server = await listen(
    limiter.wrap((_, response) => void work.opened.then(() => response.end())),
  )
  const received = server.received()
  const status = ask(server.port)
  await received
  limiter.close()
  work.open()
  expect(await status).toBe(200)
  await pause(50)
  expect(errors).toEqual([])
})

test('a request that would wait after its limiter is closed is answered at once', async () => {
  const names = [gate<string>(), gate<string>()]
  let asked = 0
  const key = (): Promise<string> => (names[asked++] as (typeof names)[0]).opened
  const limiter = rateThrottle({
    limits: '1/minute',
    slowDown: '1 minute',
    key,
    keyTimeoutMs: 60_000,
  })
  const server = await listen(limiter.wrap((_, response) => void response.end()))
  names[0]?.open('client')
  expect(await ask(server.port)).toBe(200)
  const received = server.received()
  const status = ask(server.port)
  await received
  limiter.close()
  names[1]?.open('client')
  expect(await status).toBe(429)
})
