import type { Range } from './client/snapshot.ts'
import type { Headers } from './token.ts'

/** A request for the page, of any framework. */
export interface Asked<Request> {
  /** What `authorize` is asked about: the request as its framework has it. */
  readonly request: Request
  readonly method: string
  /** From the `?` on, or empty. */
  readonly search: string
  readonly headers: Headers
  /** Whether it came over TLS to this process. */
  readonly isSecure: boolean
  /** The body, or why there is none. It is read only when it is certain that it is wanted. */
  body(maxBytes: number): Promise<string | 'too large' | 'cut'>
}

/** What a request is answered with. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** A live page: the response stays open, and the figures of this range are written to it. */
  readonly stream?: Range
}

/** On every answer: nothing is kept, guessed, framed or given to another site. */
const ALWAYS = {
  'cache-control': 'no-store, no-transform',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
}
/** Of answers that are no page: there is nothing in them to load or run. */
const NOTHING = "default-src 'none'; frame-ancestors 'none'"

/** An answer that says a few words. */
export function plain(
  status: number,
  words: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const type = { 'content-type': 'text/plain; charset=utf-8' }
  const all = { ...ALWAYS, 'content-security-policy': NOTHING, ...type, ...headers }
  return { status, headers: all, body: `${words}\n` }
}

/** An answer for the page's own code. */
export function json(status: number, body: string): Answer {
  return plain(status, body, { 'content-type': 'application/json; charset=utf-8' })
}

/** The start of a live page. A proxy is asked to pass on each line at once. */
export function live(range: Range): Answer {
  const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' }
  return { ...plain(200, '', headers), stream: range }
}

/** The page itself. Only scripts and styles with this nonce run, and they may ask their own origin alone. */
export function html(body: string, nonce: string, cookie: string | undefined): Answer {
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
  const headers = {
    ...ALWAYS,
    'content-security-policy': policy,
    'content-type': 'text/html; charset=utf-8',
  }
  const withCookie = cookie === undefined ? headers : { ...headers, 'set-cookie': cookie }
  return { status: 200, headers: withCookie, body }
}
