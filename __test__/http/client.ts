import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'

/** The response of a server. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A request without its path. */
export interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string | string[]>
  readonly body?: string
  /** The client's own address: any of 127.0.0.0/8 will do. */
  readonly from?: string
  readonly host?: string
  readonly signal?: AbortSignal
}

/** A request. */
export interface Question extends Ask {
  readonly path?: string | undefined
}

const agent = new Agent({ keepAlive: true, maxSockets: 1000 })

/**
 * Sends one request over a socket that later requests use again.
 *
 * @param at a port, or the path of a Unix-domain socket
 */
export function ask(at: number | string, question: Question = {}): Promise<Answer> {
  const { path = '/', method = 'GET', headers = {}, body, from, host = '127.0.0.1' } = question
  const { signal } = question
  const target = typeof at === 'string' ? { socketPath: at } : { host, port: at }
  return new Promise((resolve, reject) => {
    const options = { ...target, path, method, headers, agent, localAddress: from, signal }
    const call = request(options as object, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (data) => {
        text += data
      })
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
      })
    })
    call.on('error', reject)
    call.end(body)
  })
}

/** Sends the same request `count` times, one after another, and returns the statuses. */
export async function statuses(
  port: number | string,
  count: number,
  question?: Question,
): Promise<number[]> {
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push((await ask(port, question)).status)
  return seen
}

/** Sends the requests one after another, and counts those answered with 200. */
export async function admitted(port: number, questions: readonly Question[]): Promise<number> {
  let count = 0
  for (const question of questions) if ((await ask(port, question)).status === 200) count++
  return count
}

/** The text of one request, as it goes over the wire. */
export function text(path = '/', headers: Record<string, string> = {}, method = 'GET'): string {
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([k, v]) => `${k}: ${v}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/**
 * Pipelines requests on one socket, and returns the statuses in order.
 * Bodies must not look like heads; those of our servers don't.
 */
export function pipeline(port: number, texts: readonly string[], from?: string): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const seen: number[] = []
    let rest = ''
    const socket = connect({ host: '127.0.0.1', port, localAddress: from } as never)
    socket.setEncoding('latin1')
    socket.on('data', (data) => {
      rest += data
      for (const [, status] of rest.matchAll(/HTTP\/1\.1 (\d{3}) [^\n]*\n/g)) {
        seen.push(Number(status))
      }
      rest = rest.slice(rest.lastIndexOf('\n') + 1)
      if (seen.length >= texts.length) socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(seen))
    socket.write(texts.join(''), 'latin1')
  })
}

/** `[make(0), make(1), …]`, of length `count`. */
export function repeat<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}

/** `times(2, 200, 1, 429)` is `[200, 200, 429]`. */
export function times(...counts: number[]): number[] {
  const seen: number[] = []
  for (let i = 0; i < counts.length; i += 2) {
    seen.push(...Array<number>(counts[i] ?? 0).fill(counts[i + 1] ?? 0))
  }
  return seen
}

/** `X-RateLimit-Limit` and `-Remaining` of an answer. */
export function figures({ headers }: Answer): unknown[] {
  return [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']]
}
