import type { Asked } from './answer.ts'
import type { Site } from './site.ts'
import type { Sink } from './streams.ts'

/** Figures that wait for a client, in chunks; then the page waits until they have left. */
const MAX_QUEUED = 1
/** A body that comes more slowly than this is not waited for. */
const BODY_MS = 5_000

/** Answers a `Request` of the web's own kind, as Hono and others have it. */
export async function answerWeb(site: Site<Request>, request: Request): Promise<Response> {
  const answer = await site.answer(askedBy(request))
  const { status, headers, stream: range } = answer
  if (request.method === 'HEAD') return new Response(null, { status, headers })
  if (range === undefined) return new Response(answer.body, { status, headers })
  let end = (): void => undefined
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        end = site.stream(range, sinkOf(controller))
        request.signal.addEventListener('abort', () => end(), { once: true })
      },
      cancel: () => end(),
    },
    { highWaterMark: MAX_QUEUED },
  )
  return new Response(body, { status, headers })
}

function askedBy(request: Request): Asked<Request> {
  const { protocol, search, host } = new URL(request.url)
  return {
    request,
    method: request.method,
    search,
    headers: (name) =>
      name === 'host' ? (request.headers.get(name) ?? host) : headerOf(request, name),
    isSecure: protocol === 'https:',
    body: (maxBytes) => readBody(request, maxBytes),
  }
}

/** A name such as `:authority` is none of the web's headers. */
function headerOf({ headers }: Request, name: string): string | undefined {
  return name.startsWith(':') ? undefined : (headers.get(name) ?? undefined)
}

async function readBody(request: Request, maxBytes: number): Promise<string | 'too large' | 'cut'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'cut'>((resolve) => {
    timer = setTimeout(resolve, BODY_MS, 'cut')
    timer.unref()
  })
  const body = await Promise.race([late, collect(request, maxBytes)])
  clearTimeout(timer)
  return body
}

async function collect(request: Request, maxBytes: number): Promise<string | 'too large' | 'cut'> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of request.body ?? []) {
      size += chunk.length
      if (size > maxBytes) return 'too large'
      chunks.push(chunk)
    }
  } catch {
    return 'cut'
  }
  return Buffer.concat(chunks).toString('utf8')
}

function sinkOf(controller: ReadableStreamDefaultController<Uint8Array>): Sink {
  const encoder = new TextEncoder()
  let isOver = false
  return {
    get isOver() {
      return isOver
    },
    get isClogged() {
      return (controller.desiredSize ?? 0) < 0
    },
    write: (text) => {
      if (!isOver) controller.enqueue(encoder.encode(text))
    },
    end: () => {
      if (isOver) return
      isOver = true
      try {
        controller.close()
      } catch {
        // The client has cancelled it.
      }
    },
  }
}
