/** Where a response says which headers it got of us: a program may answer with it again. Not in a WeakMap: see answer.ts. */
const SET_BEFORE: unique symbol = Symbol('ratethrottle.headers')

type Marked = Response & { [SET_BEFORE]?: readonly string[] }

/**
 * A response with the headers that it lacks of these.
 *
 * The response itself gets them where it can: a copy has lost what a runtime knows of a file or a text, such as its
 * length. One whose headers can't be changed, such as of `fetch()` or `Response.redirect()`, is copied, and so is one that
 * a program has answered with before. Its body goes on as the stream it is.
 *
 * @param refused status of a refusal, in place of 200: that would say that the request was served
 */
export function withHeaders(
  response: Response,
  headers: Readonly<Record<string, string>>,
  refused = 200,
): Response {
  const status = response.status === 200 ? refused : response.status
  const ours = (response as Marked)[SET_BEFORE]
  const missing = Object.keys(headers).filter(
    (name) => ours?.includes(name) === true || !response.headers.has(name),
  )
  if (missing.length === 0 && ours === undefined && response.status === status) return response
  if (ours === undefined && response.status === status && setAll(response, headers, missing)) {
    return response
  }
  if (!isCopyable(response)) return response
  const all = new Headers(response.headers)
  for (const name of ours ?? []) all.delete(name)
  for (const name of missing) all.set(name, headers[name] as string)
  const { statusText } = response
  return new Response(response.body, {
    status,
    statusText: status === response.status ? statusText : '',
    headers: all,
  })
}

/** False if the headers can't be changed: then none is set. */
function setAll(
  response: Marked,
  given: Readonly<Record<string, string>>,
  names: readonly string[],
): boolean {
  try {
    for (const name of names) response.headers.set(name, given[name] as string)
    response[SET_BEFORE] = names
    return true
  } catch {
    return false
  }
}

/** Not the end of an upgraded connection (101) or an error (0), nor one whose body someone else reads. */
function isCopyable({ status, bodyUsed, body }: Response): boolean {
  return status >= 200 && status <= 599 && !bodyUsed && body?.locked !== true
}

/** Tells of streams that were dropped without being read or cancelled. */
const DROPPED = new FinalizationRegistry<() => void>((sent) => sent())

/**
 * The same response, whose body tells when all of it was taken, it failed, or it was cancelled or dropped. At once where
 * there is none, or it will not be read.
 *
 * @param isHead of a request by HEAD: a runtime does not read the body of its answer
 */
export function watched(response: Response, isHead: boolean, sent: () => void): Response {
  const { body, status, statusText, headers } = response
  if (body === null || body === undefined || isHead || !isCopyable(response)) {
    sent()
    return response
  }
  const stream = watchedStream(body, sent)
  return new Response(stream, { status, statusText, headers })
}

function watchedStream(body: ReadableStream, sent: () => void): ReadableStream {
  const reader = body.getReader()
  const token = {}
  const over = (): void => {
    DROPPED.unregister(token)
    sent()
  }
  const stream = new ReadableStream(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          controller.close()
        } catch (error) {
          controller.error(error)
        }
        over()
      },
      cancel: async (reason) => {
        over()
        await reader.cancel(reason)
      },
    },
    // One part is read when the last one was taken: nothing is held here, and a slow client slows the program down.
    { highWaterMark: 0 },
  )
  DROPPED.register(stream, sent, token)
  return stream
}
