import { once } from 'node:events'
import { connect } from 'node:net'

const REQUEST = 'GET / HTTP/1.1\r\nHost: bench\r\n\r\n'
const LAST_REQUEST = 'GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n'
const HEAD_END = '\r\n\r\n'
const STATUS_AT = 'HTTP/1.1 '.length

/**
 * One keep-alive connection that asks again as soon as it has its answer. A raw socket, because
 * the generator shares the machine with the server: node:http would take as much of it as Fastify.
 */
export class Client {
  #socket
  #received = ''
  #left = 0
  #status
  #finish

  static async connect(port) {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await once(socket, 'connect')
    return new Client(socket)
  }

  constructor(socket) {
    this.#socket = socket.setEncoding('latin1')
    socket.on('data', (text) => this.#receive(text))
    socket.on('error', (error) => this.#finish?.(error))
    socket.on('close', () => this.#finish?.(new Error('the server closed a connection')))
  }

  /** Sends `count` requests one after the other, each of which must be answered with `status`. */
  send(count, status) {
    if (this.#socket.destroyed) throw new Error('the server closed a connection between rounds')
    this.#left = count
    this.#status = String(status)
    return new Promise((resolve, reject) => {
      this.#finish = (error) => {
        this.#finish = undefined
        if (error === undefined) resolve()
        else reject(error)
      }
      this.#socket.write(REQUEST)
    })
  }

  #receive(text) {
    this.#received += text
    const headEnd = this.#received.indexOf(HEAD_END)
    if (headEnd < 0) return
    const bodyStart = headEnd + HEAD_END.length
    if (this.#received.length < bodyStart + bodyLength(this.#received.slice(0, headEnd))) return
    const status = this.#received.slice(STATUS_AT, STATUS_AT + 3)
    this.#received = ''
    if (status !== this.#status) this.#finish(new Error(`answered ${status}, not ${this.#status}`))
    else if (--this.#left === 0) this.#finish()
    else this.#socket.write(REQUEST)
  }
}

/**
 * A client that opens a connection for each request. It asks the server to close, so that the connection lingers
 * (TIME_WAIT) on the side whose port is the same for all: the client's own ports can be used again at once.
 */
export class FreshClient {
  #port

  constructor(port) {
    this.#port = port
  }

  /** As {@link Client.send}. */
  async send(count, status) {
    const start = `HTTP/1.1 ${status}`
    for (let sent = 0; sent < count; sent++) {
      const text = await this.#ask()
      if (!text.startsWith(start)) throw new Error(`answered ${text.slice(0, start.length)}`)
    }
  }

  #ask() {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: this.#port, noDelay: true })
      let received = ''
      socket.setEncoding('latin1')
      socket.on('data', (text) => {
        received += text
      })
      socket.on('error', reject)
      socket.on('close', () => resolve(received))
      socket.write(LAST_REQUEST)
    })
  }
}

function bodyLength(head) {
  const match = /\r\ncontent-length: (\d+)/i.exec(head)
  if (match === null) throw new Error('an answer without content-length')
  return Number(match[1])
}
