import { connect, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'

/** INFO of a large cluster is some 10 KB. */
const MOST_BYTES = 1_048_576

/** A connection to Redis for a few questions, one after the other: no client has to be installed. */
export class Resp {
  readonly #socket: Socket
  readonly #timeoutMs: number

  private constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket
    this.#timeoutMs = timeoutMs
  }

  /** @throws Error with a code such as ECONNREFUSED or timeout */
  static async open(host: object, isSecure: boolean, timeoutMs: number): Promise<Resp> {
    const socket = isSecure ? connectSecurely(host) : connect(host as never)
    const opened = isSecure ? 'secureConnect' : 'connect'
    await inTime(socket, timeoutMs, (resolve) => socket.once(opened, () => resolve('')))
    return new Resp(socket, timeoutMs)
  }

  /** @throws Error with the first word of the error that Redis answers with, such as NOAUTH */
  call(words: readonly string[]): Promise<string> {
    const socket = this.#socket
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`)
    const answer = inTime(socket, this.#timeoutMs, (resolve, reject) => {
      let got = ''
      socket.on('data', (chunk) => {
        got += chunk.toString('latin1')
        if (got.length > MOST_BYTES) reject(coded('its answer is too long'))
        const text = complete(got)
        if (text !== undefined) resolve(text)
        else if (got.startsWith('-') && got.includes('\r\n')) {
          reject(coded(/^-(\w{1,32})/.exec(got)?.[1] ?? 'an error'))
        }
      })
    })
    socket.write(`*${words.length}\r\n${parts.join('')}`)
    return answer.finally(() => socket.removeAllListeners('data'))
  }

  close(): void {
    this.#socket.destroy()
  }
}

/** The text of a whole answer: a simple or a bulk string. */
function complete(got: string): string | undefined {
  const end = got.indexOf('\r\n')
  if (end < 0) return undefined
  if (got.startsWith('+')) return got.slice(1, end)
  if (!got.startsWith('$')) return undefined
  const length = Number(got.slice(1, end))
  return got.length >= end + 2 + length + 2 ? got.slice(end + 2, end + 2 + length) : undefined
}

type Settle = (resolve: (text: string) => void, reject: (error: Error) => void) => void

function inTime(socket: Socket, ms: number, settle: Settle): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    const late = setTimeout(() => reject(coded('timeout')), ms)
    const fail = (error: Error): void => reject(error)
    const end = (): void => reject(coded('it closed the connection'))
    socket.on('error', fail).on('close', end)
    const done = (act: () => void): void => {
      clearTimeout(late)
      socket
        .off('error', fail)
        .off('close', end)
        .on('error', () => {})
      act()
    }
    settle(
      (text) => done(() => resolve(text)),
      (error) => done(() => reject(error)),
    )
  }).catch((error: unknown) => {
    socket.destroy()
    throw error
  })
}

function coded(code: string): Error {
  return Object.assign(new Error(code), { code })
}
