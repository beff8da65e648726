import type { ClientRequest, RequestOptions } from 'node:http'

/*
 * One POST of a few kilobytes to an address that the operator has configured. It follows no redirect, reads nothing of
 * the answer but its status, ends within its time, and keeps no process alive.
 */

/** Most of an answer's headers. */
const MAX_HEADER_BYTES = 8_192

/** Why a delivery failed: a code or a status, never an address, a secret or text of the other side. */
export class DeliveryFailure extends Error {
  static {
    Object.defineProperty(DeliveryFailure.prototype, 'name', { value: 'DeliveryFailure' })
  }

  /** Such as `timeout`, `ECONNREFUSED` or `status 500`. */
  readonly reason: string
  /** Whether the same again would fail again. */
  readonly isFinal: boolean

  constructor(reason: string, isFinal = false) {
    super(reason)
    this.reason = reason
    this.isFinal = isFinal
  }
}

/** What is sent. */
export interface Post {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
}

/** Resolves when the other side has answered with a status of 200 to 299; else rejects with a {@link DeliveryFailure}. */
export function post({ url, headers, body, timeoutMs }: Post): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = open(url, {
      method: 'POST',
      agent: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      },
    })
    const end = (failure?: DeliveryFailure): void => {
      clearTimeout(timer)
      // With it goes what the other side may still send.
      request.destroy()
      if (failure === undefined) resolve()
      else reject(failure)
    }
    const timer = setTimeout(() => end(new DeliveryFailure('timeout')), timeoutMs).unref()
    request.on('socket', (socket) => socket.unref())
    request.on('error', (error) => end(new DeliveryFailure(codeOf(error))))
    request.on('response', (response) => {
      response.on('error', () => {})
      end(failureOf(response.statusCode ?? 0))
    })
    request.end(body)
  })
}

/** Loaded with the first delivery: who has no webhook loads no client. */
function open(url: URL, options: RequestOptions): ClientRequest {
  if (url.protocol === 'https:') return process.getBuiltinModule('node:https').request(url, options)
  return process.getBuiltinModule('node:http').request(url, options)
}

/** Answers that may be others in a moment. */
const AGAIN: readonly number[] = [408, 425, 429]

function failureOf(status: number): DeliveryFailure | undefined {
  if (status >= 200 && status < 300) return undefined
  return new DeliveryFailure(`status ${status}`, status < 500 && !AGAIN.includes(status))
}

/** The code of an error. Its message may have an address in it. */
export function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return typeof code === 'string' && /^[A-Z][A-Z0-9_]{1,47}$/.test(code) ? code : 'error'
}
