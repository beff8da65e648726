import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import forFastify from 'ratethrottle/fastify'
import { expect, it, onTestFinished } from 'vitest'
import { stream } from '../fixtures/http2.ts'
import { PATIENCE } from '../fixtures/patience.ts'

async function serveHttp2(options: object, handlerMs: number) {
  const app = Fastify({ http2: true })
  let runs = 0
  await app.register(forFastify, options)
  app.get('/', async () => {
    runs++
    await sleep(handlerMs)
    return 'done'
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  onTestFinished(async () => {
    session.destroy()
    await app.close()
  })
  const ask = (resetAfterMs?: number) => stream(session, resetAfterMs)
  return { ask, runs: () => runs }
}

it('HTTP/2: streams that are reset get no refund (H86)', async () => {
  const { ask, runs } = await serveHttp2({ limits: '5/day', countWhen: 'failure' }, 150)
  for (let i = 0; i < 10; i++) await Promise.all([1, 2, 3, 4].map(() => ask(30)))
  await sleep(200)
  expect(runs()).toBe(5)
  expect(await ask()).toBe(429)
})

it('HTTP/2: a stream that is reset before its charge holds no unit', async () => {
  const key = async () => {
    await sleep(60)
    return 'k'
  }
  const { ask } = await serveHttp2({ limits: '3/second', countWhen: 'failure', key }, 0)
  await Promise.all([1, 2, 3].map(() => ask(20)))
  await sleep(100)
  const late = sleep(PATIENCE, 'never answered', { ref: false })
  const seen: unknown[] = []
  for (let i = 0; i < 4; i++) seen.push(await Promise.race([ask(), late]))
  expect(seen).not.toContain('never answered')
})
