import { IoAdapter } from '@nestjs/platform-socket.io'
import { WsAdapter } from '@nestjs/platform-ws'
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import { Limit } from 'ratethrottle/nest'
import { io } from 'socket.io-client'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import {
  closeAll,
  decorate,
  once,
  PLATFORMS,
  type Platform,
  RateThrottleModule,
  start,
} from './apps.ts'

afterEach(closeAll)

type Sockets = 'ws' | 'socket.io'

/** A refusal, as the client of a gateway gets it. */
const REFUSED = {
  status: 'error',
  code: 'RATE_LIMITED',
  statusCode: 429,
  retryAfter: expect.any(Number),
  message: expect.stringContaining('retry in'),
  pattern: 'say',
}

function makeGateway(options?: object) {
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
    class: [options === undefined ? WebSocketGateway() : WebSocketGateway(options)],
  })
  return { ChatGateway, runs }
}

/** A client that sends messages and keeps what comes back. */
async function connect(sockets: Sockets, url: string, headers: Record<string, string> = {}) {
  const got: { event: string; data: unknown }[] = []
  if (sockets === 'ws') {
    const socket = new WebSocket(url.replace('http', 'ws'), { headers })
    socket.on('message', (text) => got.push(JSON.parse(String(text))))
    await once(socket, 'open')
    return {
      got,
      send: (event: string, data: unknown) => socket.send(JSON.stringify({ event, data })),
      close: () => socket.terminate(),
    }
  }
  const socket = io(url, { transports: ['websocket'], extraHeaders: headers, forceNew: true })
  socket.onAny((event, data) => got.push({ event, data }))
  await new Promise((resolve) => socket.once('connect', () => resolve(undefined)))
  return {
    got,
    send: (event: string, data: unknown) => void socket.emit(event, data),
    close: () => void socket.disconnect(),
  }
}

async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 5))
}

const BOTH = PLATFORMS.flatMap((platform) =>
  (['ws', 'socket.io'] as const).map((sockets) => [platform, sockets] as const),
)

function startWith(platform: Platform, sockets: Sockets, ChatGateway: never, options: object) {
  return start(platform, {
    imports: [RateThrottleModule.forRoot(options)],
    providers: [ChatGateway],
    prepare: (app) =>
      app.useWebSocketAdapter(sockets === 'ws' ? new WsAdapter(app) : new IoAdapter(app)),
  })
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

  it('counts clients behind a trusted proxy apart, by the request that opened the socket', async () => {
    const { ChatGateway, runs } = makeGateway()
    const options = { limits: '1/hour', trust: ['127.0.0.1'] }
    const { url } = await startWith(platform, sockets, ChatGateway as never, options)
    for (const client of ['192.0.2.1', '192.0.2.2', '192.0.2.1']) {
      const { got, send, close } = await connect(sockets, url, { 'x-forwarded-for': client })
      send('say', client)
      await until(() => got.length === 1)
      close()
    }
    expect(runs.say).toBe(2)
  })
})
