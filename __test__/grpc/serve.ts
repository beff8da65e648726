import * as grpc from '@grpc/grpc-js'
import { type GrpcInterceptor, type GrpcOptions, interceptor } from 'ratethrottle/grpc'
import { onTestFinished } from 'vitest'

export const KINDS = ['unary', 'upload', 'download', 'chat'] as const
export type Kind = (typeof KINDS)[number]

/** Texts as they are. */
const text = {
  serialize: (value: string) => Buffer.from(value),
  deserialize: (bytes: Buffer) => bytes.toString(),
}

function method(service: string, name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/${service}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: text.serialize,
    requestDeserialize: text.deserialize,
    responseSerialize: text.serialize,
    responseDeserialize: text.deserialize,
  }
}

/** A service with a method of each kind. */
export function serviceOf(name: string) {
  return {
    unary: method(name, 'Unary', false, false),
    upload: method(name, 'Upload', true, false),
    download: method(name, 'Download', false, true),
    chat: method(name, 'Chat', true, true),
  }
}

export const SERVICE = 'test.Echo'

/** Handlers that count their runs, and what they were sent. A call with the text `hold` stays open until `release`. */
export function handlers() {
  const seen = { runs: 0, messages: [] as string[], cancelled: 0, open: 0 }
  let releases: (() => void)[] = []
  const held = (): Promise<void> => new Promise((resolve) => releases.push(resolve))
  // biome-ignore lint/suspicious/noExplicitAny: four kinds of call, and texts
  const began = (call: any): void => {
    seen.runs++
    seen.open++
    call.on('cancelled', () => seen.cancelled++)
  }
  const implementation = {
    unary: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => {
      began(call)
      const end = () => {
        seen.open--
        if (call.request === 'fail') done({ code: grpc.status.NOT_FOUND, details: 'none' })
        else done(null, call.request)
      }
      if (call.request === 'hold') void held().then(end)
      else end()
    },
    upload: (call: grpc.ServerReadableStream<string, string>, done: grpc.sendUnaryData<string>) => {
      began(call)
      let count = 0
      call.on('data', (message: string) => {
        count++
        seen.messages.push(message)
      })
      call.on('error', () => {})
      call.on('end', () => {
        seen.open--
        done(null, String(count))
      })
    },
    download: (call: grpc.ServerWritableStream<string, string>) => {
      began(call)
      call.on('error', () => {})
      for (let i = 0; i < 3; i++) call.write(String(i))
      if (call.request === 'fail') {
        call.emit('error', { code: grpc.status.NOT_FOUND, details: 'none' })
      } else if (call.request === 'hold') void held().then(() => call.end())
      else call.end()
    },
    chat: (call: grpc.ServerDuplexStream<string, string>) => {
      began(call)
      call.on('data', (message: string) => {
        seen.messages.push(message)
        call.write(message)
      })
      call.on('error', () => {})
      call.on('end', () => call.end())
    },
  }
  const release = (): void => {
    for (const end of releases) end()
    releases = []
  }
  return { seen, implementation, release }
}

export interface Served {
  readonly server: grpc.Server
  readonly port: number
  readonly interceptor: GrpcInterceptor
  readonly seen: ReturnType<typeof handlers>['seen']
  release(): void
}

/** A server with that service, and others of its kind, behind the interceptor. */
export async function serve(
  options: GrpcOptions,
  { address = '127.0.0.1:0', services = [SERVICE], before = [], after = [] }: ServeOptions = {},
): Promise<Served> {
  const limits = interceptor(options)
  const server = new grpc.Server({ interceptors: [...before, limits, ...after] })
  const { seen, implementation, release } = handlers()
  for (const name of services) server.addService(serviceOf(name), implementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    )
  })
  onTestFinished(() => {
    release()
    server.forceShutdown()
    limits.close()
  })
  return { server, port, interceptor: limits, seen, release }
}

interface ServeOptions {
  readonly address?: string
  readonly services?: readonly string[]
  readonly before?: readonly grpc.ServerInterceptor[]
  readonly after?: readonly grpc.ServerInterceptor[]
}

/** How a call ended, as its client saw it. */
export interface Ended {
  readonly code: number
  readonly details: string
  readonly metadata: grpc.Metadata
  readonly answers: readonly string[]
}

export interface Ask {
  readonly messages?: readonly string[]
  readonly metadata?: Readonly<Record<string, string>>
  readonly deadlineMs?: number
  readonly service?: string
  /** Is given the call as soon as it has begun. */
  readonly began?: (call: grpc.ClientUnaryCall | grpc.ClientDuplexStream<string, string>) => void
}

/** A client with a connection of its own. */
export function connect(target: number | string) {
  const address = typeof target === 'number' ? `127.0.0.1:${target}` : target
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
  })
  onTestFinished(() => client.close())
  const ask = (kind: Kind, options: Ask = {}): Promise<Ended> => begin(client, kind, options)
  return { client, ask }
}

export type Connected = ReturnType<typeof connect>

function begin(client: grpc.Client, kind: Kind, ask: Ask): Promise<Ended> {
  const { messages = ['a'], metadata = {}, deadlineMs, service = SERVICE } = ask
  const sent = new grpc.Metadata()
  for (const [name, value] of Object.entries(metadata))
    sent.set(name, name.endsWith('-bin') ? Buffer.from(value) : value)
  const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }
  const { path } = serviceOf(service)[kind]
  const { serialize, deserialize } = text
  return new Promise((resolve) => {
    const answers: string[] = []
    const ignore = (_error: unknown, answer?: string): void => {
      if (answer !== undefined) answers.push(answer)
    }
    const all = [path, serialize, deserialize] as const
    const [first = ''] = messages
    const call = {
      unary: () => client.makeUnaryRequest(...all, first, sent, options, ignore),
      upload: () => client.makeClientStreamRequest(...all, sent, options, ignore),
      download: () => client.makeServerStreamRequest(...all, first, sent, options),
      chat: () => client.makeBidiStreamRequest(...all, sent, options),
    }[kind]() as grpc.ClientDuplexStream<string, string>
    call.on('error', () => {})
    if (kind === 'download' || kind === 'chat') call.on('data', (text) => answers.push(text))
    call.on('status', ({ code, details, metadata: trailers }: grpc.StatusObject) =>
      // The answer of a call comes in the same turn.
      setImmediate(() => resolve({ code, details, metadata: trailers, answers })),
    )
    ask.began?.(call)
    if (kind !== 'upload' && kind !== 'chat') return
    for (const message of messages) call.write(message)
    call.end()
  })
}
