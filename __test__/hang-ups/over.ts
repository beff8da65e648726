import type { EventEmitter } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { type Script, Wire } from './clients.ts'
import type { Running } from './storm.ts'

/** A request of HTTP, with which its client asks. */
export function ask(path: string, body?: object): Script {
  const head = `${body === undefined ? 'GET' : 'POST'} ${path} HTTP/1.1\r\nhost: x\r\n`
  const text = JSON.stringify(body)
  const content = `content-type: application/json\r\ncontent-length: ${text?.length}\r\n\r\n${text}`
  return say(head + (body === undefined ? '\r\n' : content))
}

/** One thing to say, and one answer. */
export function say(text: string | Buffer): Script {
  return {
    next: (step) => (step === 0 ? text : undefined),
    isDone: (_answers, step) => step > 0,
    last: text,
  }
}

/** A server on TCP, each of whose clients says what the script says. */
export function over(
  server: Server,
  scriptFor: (id: string) => Script,
  close: () => unknown,
  more: {
    readonly emitters?: () => readonly EventEmitter[]
    readonly connections?: () => readonly EventEmitter[]
    readonly hasMessages?: boolean
  } = {},
): Running {
  const { port } = server.address() as AddressInfo
  const { emitters = () => [], connections = () => [], hasMessages = false } = more
  const accepted: Socket[] = []
  server.on('connection', (socket: Socket) => accepted.push(socket))
  return {
    client: (id) => new Wire(port, scriptFor(id)),
    emitters: () => [server, ...emitters()],
    hasMessages,
    // A message of a connection has no answer where its messages alone are limited.
    patient: hasMessages
      ? undefined
      : {
          client: new Wire(port, scriptFor('go-again')),
          emitters: () => [...accepted.filter(({ destroyed }) => !destroyed), ...connections()],
        },
    close: async () => {
      ;(server as { closeAllConnections?(): void }).closeAllConnections?.()
      await close()
      server.close()
    },
  }
}
