import { connect } from 'node:net'
import { address, evenly } from './clients.mjs'

const REQUEST = 'GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'

/** A bot that keeps its connection, and asks again only after an answer: it costs its machine little. */
class Bot {
  #port
  #i
  #counts
  #socket
  #isWaiting = false

  constructor(port, i, counts) {
    this.#port = port
    this.#i = i
    this.#counts = counts
  }

  ask() {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#counts.sent++
    this.#socket ??= this.#connect()
    this.#socket.write(REQUEST)
  }

  close() {
    this.#socket?.destroy()
  }

  #connect() {
    const localAddress = address(66, this.#i)
    const socket = connect({ host: '127.0.0.1', port: this.#port, localAddress })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#socket = undefined
      this.#isWaiting = false
    })
    socket.on('data', (data) => {
      this.#isWaiting = false
      if (data.toString('latin1', 0, 12) === 'HTTP/1.1 200') this.#counts.served++
    })
    return socket
  }
}

/** Sends so many requests a second from so many addresses, as far as there is one that waits for no answer. */
export function startFlood(port, count, perSecond) {
  const counts = { sent: 0, served: 0 }
  const bots = Array.from({ length: count }, (_, i) => new Bot(port, i, counts))
  const stopSending = evenly(perSecond, (i) => bots[i % count].ask())
  const stop = () => {
    stopSending()
    for (const bot of bots) bot.close()
  }
  return { counts, stop }
}
