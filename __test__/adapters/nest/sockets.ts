import { IoAdapter } from '@nestjs/platform-socket.io'
import { WsAdapter } from '@nestjs/platform-ws'
import { io } from 'socket.io-client'
import { WebSocket } from 'ws'
import { once, PLATFORMS, type Platform, RateThrottleModule, start } from './apps.ts'

export type Sockets = 'ws' | 'socket.io'

/** A client that sends messages and keeps what comes back. */
export async function connect(sockets: Sockets, url: string, headers: Record<string, string> = {}) {
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

/** Looks until it is so. */
export async function until(check: () => boolean): Promise<void> {
  for (let looks = 0; !check(); looks++) {
    if (looks > 3_000) throw new Error('it never was so')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export const BOTH = PLATFORMS.flatMap((platform) =>
  (['ws', 'socket.io'] as const).map((sockets) => [platform, sockets] as const),
)

export function startWith(
  platform: Platform,
  sockets: Sockets,
  ChatGateway: never,
  options: object,
) {
  return start(platform, {
    imports: [RateThrottleModule.forRoot(options)],
    providers: [ChatGateway],
    prepare: (app) =>
      app.useWebSocketAdapter(sockets === 'ws' ? new WsAdapter(app) : new IoAdapter(app)),
  })
}
