import type { EventEmitter } from 'node:events'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import websocket from '@fastify/websocket'
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets'
import Fastify from 'fastify'
import { socketLimits } from 'ratethrottle/websocket'
import { Server as IoServer, type Socket } from 'socket.io'
import { type WebSocket, WebSocketServer } from 'ws'
import { closeAll, decorate } from '../adapters/nest/apps.ts'
import { type Sockets, startWith } from '../adapters/nest/sockets.ts'
import { frame, handshake } from '../websocket/servers.ts'
import type { Script } from './clients.ts'
import { over } from './over.ts'
import type { Options, Protocol, Work } from './storm.ts'

/** A message of socket.io. */
const MESSAGE = '42["m","flood"]'
const FLOOD = Buffer.concat(Array.from({ length: 50 }, () => frame(MESSAGE)))
const IO = '/socket.io/?EIO=4&transport='

/** A WebSocket: its messages follow one another, each after an answer, and `done` comes at last. */
function socket(path: string, messages: readonly string[] = [], done = 'done'): Script {
  const all = [handshake(path), ...messages.map((text) => frame(text))]
  return {
    next: (step) => all[step],
    isDone: (answers) => answers.includes(done),
    last: all.at(-1) ?? '',
    flood: FLOOD,
  }
}

/** A session by long polling, which asks for what is new as long as it is there, and answers pings. */
function polling(id: string): Script {
  const ask = (method: string, sid: string, body = ''): string =>
    `${method} ${IO}polling${sid} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const flood = Array.from({ length: 50 }, () => MESSAGE).join('\u001e')
  let sid = ''
  return {
    isDone: (_answers, step) => step >= 3,
    next: (step, answers) => {
      if (step === 0) return ask('GET', `&id=${id}`)
      sid = `&sid=${/"sid":"([^"]+)"/.exec(answers)?.[1]}`
      if (step === 1) return ask('POST', sid, '40')
      return answers.endsWith('\r\n2') ? ask('POST', sid, '3') : ask('GET', sid)
    },
    // Not on the connection that waits for what is new.
    flood: () => ask('POST', sid, flood),
  }
}

function limitsOf({ limits, ...options }: Options): ReturnType<typeof socketLimits> {
  return socketLimits({ ...options, connections: limits })
}

async function listening(server: Server): Promise<Server> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

const idOf = (url = ''): string => new URL(url, 'http://x').searchParams.get('id') ?? ''

/** What handlers of ws do: they answer when their work is done, and hear. */
function serve(socket: WebSocket, url: string | undefined, work: Work): void {
  socket.on('error', () => {}).on('message', () => work.heard++)
  void Promise.resolve(work.run(idOf(url))).then((text) => socket.send(text))
}

const WS: Protocol = {
  name: 'ws',
  start: async (options, work) => {
    const limits = limitsOf(options)
    const sockets = new WebSocketServer({ noServer: true })
    sockets.on('connection', (socket, { url }) => serve(socket, url, work))
    const server = createServer().on('upgrade', limits.upgrade(sockets))
    return over(
      await listening(server),
      (id) => socket(`/?id=${id}`),
      () => limits.close(),
      {
        emitters: () => [sockets],
        hasMessages: true,
      },
    )
  },
}

const FASTIFY: Protocol = {
  name: '@fastify/websocket',
  start: async (options, work) => {
    const limits = limitsOf(options)
    const app = Fastify()
    await app.register(websocket)
    app.get('/', { websocket: true }, async (socket, request) => {
      if (await limits.attach(socket, request)) serve(socket, request.url, work)
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const close = async (): Promise<void> => {
      await app.close()
      limits.close()
    }
    return over(app.server, (id) => socket(`/?id=${id}`), close, {
      emitters: () => [app.websocketServer],
      hasMessages: true,
    })
  },
}

function byIo(transport: 'websocket' | 'polling'): Protocol {
  const scriptFor = (id: string): Script =>
    transport === 'polling' ? polling(id) : socket(`${IO}websocket&id=${id}`, ['40'], '40{')
  return {
    name: `socket.io by ${transport}`,
    start: async (options, work) => {
      const limits = limitsOf(options)
      const server = createServer()
      const io = new IoServer(server, {
        allowRequest: limits.allowRequest,
        // How soon a client that polls no more is found out.
        ...(transport === 'polling' && { pingInterval: 500, pingTimeout: 1_000 }),
      })
      // engine.io itself keeps a timer of half a minute for each session that it ends while no request of it is there.
      io.engine.on('connection', ({ transport }) => Object.assign(transport, { closeTimeout: 100 }))
      io.use(limits.socketIo())
      limits.attachEngine(io.engine)
      io.on('connection', (one: Socket) => {
        one.on('m', () => work.heard++)
        const { id } = one.handshake.query
        void work.run(String(id))
      })
      const close = async (): Promise<void> => {
        await io.close()
        limits.close()
      }
      return over(await listening(server), scriptFor, close, {
        emitters: () => [io, io.engine, io.of('/'), io.of('/').adapter] as EventEmitter[],
        hasMessages: true,
      })
    },
  }
}

/** A gateway of Nest, whose guard is asked about each message. */
function byNest(sockets: Sockets): Protocol {
  const scriptFor = (id: string): Script =>
    sockets === 'ws'
      ? socket('/', [JSON.stringify({ event: 'work', data: id })])
      : socket(`${IO}websocket`, ['40', `42["work","${id}"]`])
  return {
    name: `Nest, ${sockets}`,
    start: async ({ messages: _, ...options }, work) => {
      let server: WebSocketServer | IoServer | undefined
      class WorkGateway {
        afterInit(made: WebSocketServer | IoServer): void {
          server = made
        }
        async work(id: string): Promise<object> {
          return { event: 'done', data: await work.run(id) }
        }
      }
      decorate(WorkGateway, {
        parameters: { work: [MessageBody()] },
        methods: { work: [SubscribeMessage('work')] },
        class: [WebSocketGateway()],
      })
      const { app } = await startWith('express', sockets, WorkGateway as never, options)
      const connections = (): EventEmitter[] => {
        if (server === undefined) return []
        if ('clients' in server) return [...server.clients]
        return [...server.sockets.sockets.values()].flatMap((one) => [one, one.conn])
      }
      return over(app.getHttpServer() as Server, scriptFor, closeAll, { connections })
    },
  }
}

export const SOCKETS: readonly Protocol[] = [
  WS,
  FASTIFY,
  byIo('websocket'),
  byIo('polling'),
  byNest('ws'),
  byNest('socket.io'),
]
