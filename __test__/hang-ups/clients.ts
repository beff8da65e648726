import { once } from 'node:events'
import { type ClientHttp2Session, constants } from 'node:http2'
import { connect, type Socket } from 'node:net'

/** A client that asks, and leaves when it likes. */
export interface Client {
  /** Begins to ask: with the whole of its request, or the half of it. */
  begin(isWhole: boolean): Promise<void>
  /** Sends far more messages than the limit admits, where there are messages. */
  flood(): void
  /** Whether all is said that it asked for, or it was turned away. */
  readonly isAnswered: boolean
  leave(): Promise<void>
}

/** What a client of TCP sends. */
export interface Script {
  /** What it sends next, once `step` answers have come. */
  next(step: number, answers: string): string | Buffer | undefined
  /** Whether it has what it asked for. */
  isDone(answers: string, step: number): boolean
  /** What asks for that, to ask for it once more. */
  readonly last?: string | Buffer
  readonly flood?: Buffer | (() => string)
}

/** A client of a protocol on TCP. */
export class Wire implements Client {
  readonly #script: Script
  readonly #port: number
  #socket: Socket | undefined
  #answers = ''
  #step = 0
  #isClosed = false
  #isAgain = false

  constructor(port: number, script: Script) {
    this.#port = port
    this.#script = script
  }

  get isAnswered(): boolean {
    return this.#isClosed || this.#script.isDone(this.#answers, this.#step)
  }

  async begin(isWhole: boolean): Promise<void> {
    const socket = connect(this.#port, '127.0.0.1')
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#isClosed = true
    })
    await once(socket, 'connect')
    const first = this.#script.next(0, '') ?? ''
    if (isWhole) socket.on('data', (data) => this.#go(String(data)))
    const part = isWhole ? first : first.slice(0, first.length >> 1)
    await new Promise((resolve) => socket.write(part, resolve))
  }

  #go(answer: string): void {
    this.#step++
    this.#answers += answer
    const next = this.#isAgain ? undefined : this.#script.next(this.#step, this.#answers)
    if (next !== undefined && this.#socket?.writable) this.#socket.write(next)
  }

  /** Asks the last thing once more, of one that is answered. */
  again(): void {
    this.#step = 0
    this.#answers = ''
    this.#isAgain = true
    this.#socket?.write(this.#script.last ?? '')
  }

  flood(): void {
    const { flood } = this.#script
    if (typeof flood === 'function') {
      // On a connection of its own, which goes with the other one.
      const other = connect(this.#port, '127.0.0.1').on('error', () => {})
      other.write(flood(), () => other.destroySoon())
    } else if (flood !== undefined) this.#socket?.write(flood)
  }

  async leave(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined || this.#isClosed) return
    const closed = once(socket, 'close')
    // The one way of leaving is to reset the connection, the other to end it.
    if (this.#step % 2 === 0) socket.resetAndDestroy()
    else socket.destroy()
    await closed
  }
}

/** The text `a`, as gRPC frames it. */
const MESSAGE = Buffer.from([0, 0, 0, 0, 1, 97])

/** A client whose calls are streams of one connection of HTTP/2. */
export class Call implements Client {
  readonly #session: ClientHttp2Session
  readonly #headers: Record<string, string>
  readonly #isStream: boolean
  #stream: ReturnType<ClientHttp2Session['request']> | undefined
  #isAnswered = false

  constructor(
    session: ClientHttp2Session,
    { path, requestStream }: { readonly path: string; readonly requestStream: boolean },
    id: string,
  ) {
    this.#session = session
    this.#isStream = requestStream
    const of = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
    this.#headers = { ...of, ':path': path, 'x-id': id }
  }

  get isAnswered(): boolean {
    return this.#isAnswered
  }

  async begin(isWhole: boolean): Promise<void> {
    const stream = this.#session.request(this.#headers)
    const answered = (): void => {
      this.#isAnswered = true
    }
    stream
      .on('error', () => {})
      .on('data', answered)
      .on('trailers', answered)
    stream.on('close', answered).on('response', (headers) => 'grpc-status' in headers && answered())
    this.#stream = stream
    if (!isWhole) stream.write(MESSAGE.subarray(0, 3))
    else if (this.#isStream) stream.write(MESSAGE)
    else stream.end(MESSAGE)
  }

  flood(): void {
    if (this.#isStream)
      this.#stream?.write(Buffer.concat(Array.from({ length: 50 }, () => MESSAGE)))
  }

  async leave(): Promise<void> {
    const stream = this.#stream
    if (stream === undefined || stream.closed) return
    const closed = once(stream, 'close')
    stream.close(constants.NGHTTP2_CANCEL)
    await closed
  }
}
