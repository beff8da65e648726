import type { EventEmitter } from 'node:events'
import { once } from 'node:events'
import { type ClientHttp2Session, connect, type ServerHttp2Session } from 'node:http2'
import type { Server } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { Controller, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { MessagePattern, Payload } from '@nestjs/microservices'
import { interceptor } from 'ratethrottle/grpc'
import { RateThrottleModule } from 'ratethrottle/nest'
import { decorate } from '../adapters/nest/apps.ts'
import { TCP } from '../adapters/nest/services.ts'
import { KINDS, type Kind, SERVICE, serviceOf } from '../grpc/serve.ts'
import { Call } from './clients.ts'
import { over, say } from './over.ts'
import type { Protocol, Work } from './storm.ts'

/** Handlers of each kind of call, which begin when the call is admitted. */
function handlersOf(work: Work): grpc.UntypedServiceImplementation {
  // biome-ignore lint/suspicious/noExplicitAny: four kinds of call
  type Any = any
  const run = (call: Any): Promise<string> => {
    call.on('error', () => {})
    return Promise.resolve(work.run(String(call.metadata.get('x-id')[0])))
  }
  const answer = (call: Any, done: Any): void => {
    void run(call).then((text) => done(null, text))
  }
  const stream = (call: Any): void => {
    void run(call).then((text) => {
      call.write(text)
      call.end()
    })
  }
  return {
    unary: answer,
    upload: (call: Any, done: Any) =>
      answer(
        call.on('data', () => work.heard++),
        done,
      ),
    download: stream,
    chat: (call: Any) => stream(call.on('data', () => work.heard++)),
  }
}

/** Those of HTTP/2 that live as long as the server, and as a client. */
function emittersOf(server: grpc.Server, sessions: readonly ServerHttp2Session[]): EventEmitter[] {
  const { http2Servers } = server as unknown as { http2Servers: Map<EventEmitter, unknown> }
  return [...http2Servers.keys(), ...sessions]
}

async function sessionOf(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`)
  await once(session, 'remoteSettings')
  return session
}

function byKind(kind: Kind): Protocol {
  const hasMessages = kind === 'upload' || kind === 'chat'
  return {
    name: `gRPC, ${kind}`,
    start: async ({ messages, ...options }, work) => {
      const limits = interceptor({
        ...options,
        ...(hasMessages && { messages, overflow: 'pause' }),
      })
      const server = new grpc.Server({ interceptors: [limits] })
      server.addService(serviceOf(SERVICE), handlersOf(work))
      const credentials = grpc.ServerCredentials.createInsecure()
      const port = await new Promise<number>((resolve, reject) => {
        server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
          error === null ? resolve(bound) : reject(error),
        )
      })
      const sessions: ServerHttp2Session[] = []
      for (const one of emittersOf(server, [])) {
        one.on('session', (session: ServerHttp2Session) => sessions.push(session))
      }
      // All calls are streams of this one, which stays.
      const session = await sessionOf(port)
      return {
        client: (id) => new Call(session, serviceOf(SERVICE)[kind], id),
        emitters: () => [...emittersOf(server, sessions), session],
        hasMessages,
        close: () => {
          session.destroy()
          server.forceShutdown()
          limits.close()
        },
      }
    },
  }
}

const NEST: Protocol = {
  name: 'Nest, TCP',
  start: async ({ messages: _, ...options }, work) => {
    class WorkController {
      work(id: string): unknown {
        return work.run(id)
      }
    }
    decorate(WorkController, {
      parameters: { work: [Payload()] },
      methods: { work: [MessagePattern('work')] },
      class: [Controller()],
    })
    class AppModule {}
    Module({ imports: [RateThrottleModule.forRoot(options)], controllers: [WorkController] })(
      AppModule,
    )
    const app = await NestFactory.createMicroservice(AppModule, { ...TCP, logger: ['fatal'] })
    await app.listen()
    const scriptFor = (id: string) => {
      const text = JSON.stringify({ pattern: 'work', data: id, id })
      return say(`${text.length}#${text}`)
    }
    return over(app.unwrap<Server>(), scriptFor, () => app.close())
  },
}

export const CALLS: readonly Protocol[] = [NEST, ...KINDS.map(byKind)]
