import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import { Limit } from 'ratethrottle/nest'
import { shield } from 'ratethrottle/shield'
import { afterEach, describe, expect, it } from 'vitest'
import { freePort } from '../../redis/server.ts'
import { closeAll, decorate } from './apps.ts'
import { BOTH, connect, startWith, until } from './sockets.ts'

afterEach(closeAll)

/** A refusal, as the client of a gateway gets it. */
const REFUSED = {
  status: 'error',
  code: 'RATE_LIMITED',
  statusCode: 429,
  retryAfter: expect.any(Number),
  message: expect.stringContaining('retry in'),
  pattern: 'say',
}

function makeGateway(port?: number) {
  const runs = { say: 0, ask: 0 }
  class ChatGateway {
    say(data: unknown): object {
      runs.say++
      return { event: 'said', data }
    }
    ask(data: unknown): object {
      runs.ask++
      return { event: 'asked', data }
    }
  }
  decorate(ChatGateway, {
    parameters: { say: [MessageBody()], ask: [MessageBody()] },
    methods: { say: [SubscribeMessage('say')], ask: [Limit('2/minute'), SubscribeMessage('ask')] },
    class: [port === undefined ? WebSocketGateway() : WebSocketGateway(port)],
  })
  return { ChatGateway, runs }
}

describe.each(BOTH)('%s, %s', (platform, sockets) => {
  it('200 messages of a client over 4 sockets: as many handlers run as the limit admits', async () => {
    const { ChatGateway, runs } = makeGateway()
    const { url } = await startWith(platform, sockets, ChatGateway as never, { limits: '20/hour' })
    const clients = await Promise.all(Array.from({ length: 4 }, () => connect(sockets, url)))
    for (const { send } of clients) for (let i = 0; i < 50; i++) send('say', i)
    await until(() => clients.flatMap(({ got }) => got).length === 200)
    const all = clients.flatMap(({ got }) => got)
    expect(all.filter(({ event }) => event === 'said')).toHaveLength(20)
    const refused = all.filter(({ event }) => event === 'exception')
    expect(refused).toHaveLength(180)
    expect(refused[0]?.data).toEqual(REFUSED)
    expect(runs.say).toBe(20)
    for (const { close } of clients) close()
  })

  it('charges a message to the gateway and the module both, or to neither', async () => {
    const { ChatGateway, runs } = makeGateway()
    const { url } = await startWith(platform, sockets, ChatGateway as never, { limits: '3/hour' })
    const { got, send, close } = await connect(sockets, url)
    for (let i = 0; i < 5; i++) send('ask', i)
    await until(() => got.length === 5)
    for (let i = 0; i < 5; i++) send('say', i)
    await until(() => got.length === 10)
    expect(runs).toEqual({ ask: 2, say: 1 })
    close()
  })

  it.each(['of the application', 'of its own'])(
    'counts clients behind a trusted proxy apart, on a port %s',
    async (whose) => {
      const port = whose === 'of its own' ? await freePort() : undefined
      const { ChatGateway, runs } = makeGateway(port)
      const options = { limits: '1/hour', trust: ['127.0.0.1'] }
      const { url } = await startWith(platform, sockets, ChatGateway as never, options)
      const opened = port === undefined ? url : `http://127.0.0.1:${port}`
      for (const client of ['192.0.2.1', '192.0.2.2', '192.0.2.1']) {
        const { got, send, close } = await connect(sockets, opened, { 'x-forwarded-for': client })
        send('say', client)
        await until(() => got.length === 1)
        close()
      }
      expect(runs.say).toBe(2)
    },
  )

  it('a shield that blocks a client refuses its messages, and those that no limit counts', async () => {
    const guard = shield({ mode: 'enforce' })
    const { ChatGateway, runs } = makeGateway()
    const { url } = await startWith(platform, sockets, ChatGateway as never, { shield: guard })
    const { got, send, close } = await connect(sockets, url)
    send('say', 1)
    await until(() => got.length === 1)
    guard.block('127.0.0.1', 60_000)
    send('say', 2)
    await until(() => got.length === 2)
    expect(got[1]).toMatchObject({ event: 'exception', data: { statusCode: 429, pattern: 'say' } })
    guard.pardon('127.0.0.1')
    send('say', 3)
    await until(() => got.length === 3)
    expect(runs.say).toBe(2)
    close()
    guard.close()
  })
})
