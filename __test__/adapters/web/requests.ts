/** What runtimes give a handler beside the request. */
export const RUNTIMES = {
  'Deno.serve': (hostname: string) => ({ remoteAddr: { transport: 'tcp', hostname, port: 1 } }),
  'Bun.serve': (address: string) => ({ port: 3000, requestIP: () => ({ address, port: 1 }) }),
  'Bun.serve, in an object': (address: string) => ({
    server: { port: 3000, requestIP: () => ({ address, port: 1 }) },
  }),
  'srvx and Nitro on Node': (remoteAddress: string) => ({
    node: { req: { socket: { remoteAddress } } },
  }),
  '@hono/node-server': (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } }),
} as const

export const deno = RUNTIMES['Deno.serve']

export function ask(headers: Record<string, string> = {}, init: RequestInit = {}): Request {
  return new Request('http://127.0.0.1/', { headers, ...init })
}

/** The parts of a response that clients read. */
export function told({ status, headers }: Response): readonly unknown[] {
  return [
    status,
    headers.get('x-ratelimit-limit'),
    headers.get('x-ratelimit-remaining'),
    Number(headers.get('retry-after')) > 0,
  ]
}

/** What {@link told} says of the first request under a limit of one, and of the second. */
export const ADMITTED = [200, '1', '0', false]
export const REFUSED = [429, '1', '0', true]

/** A body of parts that come one after another, and whether it was cancelled. */
export function parts(texts: readonly string[]): {
  readonly body: ReadableStream<Uint8Array>
  readonly cancelled: unknown[]
} {
  const cancelled: unknown[] = []
  const left = [...texts]
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const text = left.shift()
      if (text === undefined) controller.close()
      else controller.enqueue(new TextEncoder().encode(text))
    },
    cancel: (reason) => void cancelled.push(reason),
  })
  return { body, cancelled }
}
