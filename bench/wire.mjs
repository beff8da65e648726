import { Duplex } from 'node:stream'

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nhost: bench\r\n\r\n')
const STATUS = 'HTTP/1.1 '

/** A kept connection in memory: the server's own parser and writer, without the kernel. */
class Wire extends Duplex {
  remotePort = 40_000
  remoteFamily = 'IPv4'

  constructor(address, onStatus) {
    super()
    this.remoteAddress = address
    this.onStatus = onStatus
  }

  ask() {
    this.push(REQUEST)
  }

  _read() {}

  /** The head may come with the body or before it. */
  _write(chunk, _encoding, done) {
    const head = typeof chunk === 'string' ? chunk : chunk.latin1Slice(0, STATUS.length + 3)
    if (head.startsWith(STATUS)) this.onStatus(head.slice(STATUS.length, STATUS.length + 3))
    done()
  }

  setTimeout() {
    return this
  }
  setNoDelay() {}
  setKeepAlive() {}
}

/**
 * Opens connections of some clients, and answers a function that sends requests, one after the other, each from
 * the next client: a limiter that only remembers its last caller gains nothing.
 *
 * It calls `mark` after the first `from` requests and after each `every` from there on. One call sends them all:
 * V8 would have to compile the loop again for another.
 */
export function openWires(server, clients) {
  let onStatus
  const wires = Array.from({ length: clients }, (_, index) => {
    const wire = new Wire(`127.0.1.${index + 1}`, (status) => onStatus(status))
    server.emit('connection', wire)
    return wire
  })
  return ({ status: wanted, requests, from = requests, every = requests, mark = () => {} }) =>
    new Promise((resolve, reject) => {
      let sent = 0
      let marked = from
      const next = () => {
        if (sent === marked) {
          mark()
          marked += every
        }
        if (sent === requests) return resolve()
        wires[sent++ % clients].ask()
      }
      onStatus = (status) => {
        if (status !== wanted) return reject(new Error(`status ${status}, not ${wanted}`))
        setImmediate(next)
      }
      next()
    })
}
