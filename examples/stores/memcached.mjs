// A store for Memcached, over its text protocol: gets, add and cas. No client is needed.
//
//   import { createLimiter } from 'ratethrottle'
//   import { memcachedStore } from './memcached.mjs'
//   const limiter = createLimiter({ limits: '100/minute', storage: memcachedStore({ host: '127.0.0.1' }) })
import { connect } from 'node:net'

/** Memcached takes a longer time for a date, in seconds since 1970. */
const MONTH_S = 30 * 86_400
const CRLF = '\r\n'

export function memcachedStore({ host = '127.0.0.1', port = 11_211 } = {}) {
  let socket
  let received = Buffer.alloc(0)
  const waiting = []

  /** Fails every call under way; the next call connects again. */
  function fail(error = new Error('Memcached closed the connection')) {
    socket = undefined
    received = Buffer.alloc(0)
    for (const { reject } of waiting.splice(0)) reject(error)
  }

  function open() {
    const opened = connect({ host, port, noDelay: true })
    opened.on('data', (data) => {
      received = Buffer.concat([received, data])
      while (waiting.length > 0 && answer()) {}
    })
    opened.on('error', () => {}).on('close', () => opened === socket && fail())
    return opened
  }

  /** Gives the first caller its answer, if all of it has arrived: a line, and for a value its bytes. */
  function answer() {
    const end = received.indexOf(CRLF)
    if (end < 0) return false
    const [word, , , bytes, version] = received.toString('latin1', 0, end).split(' ')
    const start = end + CRLF.length
    const size = word === 'VALUE' ? Number(bytes) + `${CRLF}END${CRLF}`.length : 0
    if (received.length < start + size) return false
    const value =
      word === 'VALUE' ? Buffer.from(received.subarray(start, start + Number(bytes))) : undefined
    received = received.subarray(start + size)
    waiting.shift().resolve({ word, value, version })
    return true
  }

  function ask(line, value) {
    return new Promise((resolve, reject) => {
      socket ??= open()
      waiting.push({ resolve, reject })
      socket.write(
        value === undefined
          ? line + CRLF
          : Buffer.concat([Buffer.from(line + CRLF), value, Buffer.from(CRLF)]),
      )
    })
  }

  return {
    name: 'Memcached',
    async get(key) {
      const { word, value, version } = await ask(`gets ${key}`)
      if (word === 'VALUE') return { value, version }
      if (word !== 'END') throw new Error(`Memcached answered ${word}`)
    },
    async compareAndSet(key, value, version, ttlMs) {
      // Its clock ticks once a second, so an item may go up to a second early.
      const seconds = Math.ceil(ttlMs / 1_000) + 1
      const expires = seconds > MONTH_S ? Math.ceil(Date.now() / 1_000) + seconds : seconds
      const head = `${key} 0 ${expires} ${value.length}`
      const { word } = await ask(
        version === undefined ? `add ${head}` : `cas ${head} ${version}`,
        value,
      )
      if (['STORED', 'EXISTS', 'NOT_STORED', 'NOT_FOUND'].includes(word)) return word === 'STORED'
      throw new Error(`Memcached answered ${word}`)
    },
    async close() {
      socket?.destroy()
      fail(new Error('the store was closed'))
    },
  }
}
