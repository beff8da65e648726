import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { Answer, Asked } from './answer.ts'
import type { Site } from './site.ts'
import type { Sink } from './streams.ts'

/** A body that comes more slowly than this is not waited for. */
const BODY_MS = 5_000
/** Bytes that may wait in this process for a client; then no more are written. */
const MAX_WAITING = 16_384

/** Answers a request of `node:http`, or of a framework on it. @param subject what `authorize` is asked about */
export async function answerNode<Request>(
  site: Site<Request>,
  request: IncomingMessage,
  response: ServerResponse,
  subject: Request,
): Promise<void> {
  const answer = await site.answer(askedBy(request, subject))
  if (response.headersSent || response.destroyed) return
  writeHead(request, response, answer)
  if (request.method === 'HEAD') response.end()
  else if (answer.stream === undefined) response.end(answer.body)
  else stream(site, answer.stream, request, response)
}

function askedBy<Request>(request: IncomingMessage, subject: Request): Asked<Request> {
  const { method = '', url = '', headers } = request
  const mark = url.indexOf('?')
  return {
    request: subject,
    method,
    search: mark < 0 ? '' : url.slice(mark),
    headers: (name) => {
      const value = headers[name]
      return Array.isArray(value) ? value.join(', ') : value
    },
    isSecure: (request.socket as { encrypted?: boolean } | undefined)?.encrypted === true,
    body: (maxBytes) => readBody(request, maxBytes),
  }
}

function writeHead(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  // Another middleware may have let other sites read what comes next.
  for (const name of response.getHeaderNames()) {
    if (name.startsWith('access-control-')) response.removeHeader(name)
  }
  response.statusCode = answer.status
  for (const [name, value] of Object.entries(answer.headers)) response.setHeader(name, value)
  if (answer.stream === undefined) {
    response.setHeader('content-length', Buffer.byteLength(answer.body))
  }
  // A body that was not read ends the connection, and so does a live page: its server may be closing.
  const isUnread = answer.status === 413 || answer.stream !== undefined
  if (isUnread && request.httpVersionMajor === 1) response.setHeader('connection', 'close')
}

/** A parser that ran before has kept the body: as a text, a buffer or an object. */
function readBody(
  request: IncomingMessage & { readonly body?: unknown },
  maxBytes: number,
): Promise<string | 'too large' | 'cut'> {
  if (Number(request.headers['content-length']) > maxBytes) return Promise.resolve('too large')
  if (request.readableEnded || request.body !== undefined) {
    return Promise.resolve(parsed(request.body, maxBytes))
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const finish = (body: string): void => {
      clearTimeout(timer)
      request.off('data', take).off('end', complete).off('close', cut)
      resolve(body)
    }
    const cut = (): void => finish('cut')
    const complete = (): void => finish(Buffer.concat(chunks).toString('utf8'))
    const take = (chunk: Buffer): void => {
      size += chunk.length
      if (size <= maxBytes) chunks.push(chunk)
      else {
        request.pause()
        finish('too large')
      }
    }
    const timer = setTimeout(cut, BODY_MS).unref()
    request.on('data', take).on('end', complete).on('close', cut).on('error', cut)
  })
}

function parsed(body: unknown, maxBytes: number): string {
  const text = Buffer.isBuffer(body) || typeof body === 'string' ? `${body}` : JSON.stringify(body)
  return text === undefined || text.length > maxBytes ? 'cut' : text
}

function stream<Request>(
  site: Site<Request>,
  range: NonNullable<Answer['stream']>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  // HTTP/2 has no `writableNeedDrain`.
  const isClogged = (): boolean => response.writableLength > MAX_WAITING
  const sink: Sink = {
    get isOver() {
      return response.destroyed || response.writableEnded || isClosing(request)
    },
    get isClogged() {
      return isClogged()
    },
    write: (text) => void response.write(text),
    end: () => {
      // A client that takes nothing would never read the end.
      if (isClogged()) response.destroy()
      else response.end()
    },
  }
  response.on('error', () => response.destroy())
  response.on('close', site.stream(range, sink))
}

/** Whether the server has been closed: it waits for its last connection, which a live page would never end. */
function isClosing({ socket }: IncomingMessage): boolean {
  const { server } = socket as Socket & { readonly server?: Server }
  return server?.listening === false
}
