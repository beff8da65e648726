import type { IncomingMessage } from 'node:http'
import * as validate from '../../validate.ts'

/** Answers whether a request may do something. Everything but `true`, or a promise of it, is a no. */
export type PageQuestion<Request> = (request: Request) => boolean | Promise<boolean>

/** Options of a page. `Request` is that of the framework that it is mounted in. */
export interface PageOptions<Request = IncomingMessage> {
  /**
   * Whether a request may see the page. Without it every request is answered with 404, and a warning says so.
   * It is asked for each request, and again for a live page at least every five minutes.
   */
  readonly authorize?: PageQuestion<Request> | undefined
  /** How long `authorize` may take, in milliseconds; then the request is refused. Default: 5,000. */
  readonly deadlineMs?: number | undefined
  /**
   * What a refused request is answered with: 401 and this `WWW-Authenticate`, such as `'Basic realm="limits"'`,
   * which has browsers ask for a name and a password. Default: 404, as if there were no page.
   */
  readonly challenge?: string | undefined
  /** Who of those who see the page may end a shield's block. Default: true, all of them. */
  readonly pardon?: boolean | PageQuestion<Request> | undefined
  /** Who of those who see the page may block an address, for up to a day. Default: false. */
  readonly block?: boolean | PageQuestion<Request> | undefined
  /** The heading of the page. Default: `'Rate limits'`. */
  readonly title?: string | undefined
  /** Live pages at once; further ones ask every five seconds instead. From 1 to 10,000. Default: 50. */
  readonly maxStreams?: number | undefined
}

/** Options with every default filled in. */
export interface ResolvedPageOptions<Request> {
  readonly authorize: PageQuestion<Request> | undefined
  readonly deadlineMs: number
  readonly challenge: string | undefined
  readonly pardon: boolean | PageQuestion<Request>
  readonly block: boolean | PageQuestion<Request>
  readonly title: string
  readonly maxStreams: number
}

const MAX_DEADLINE_MS = 60_000
const MAX_STREAMS = 10_000

function readers<Request>(): validate.Readers<ResolvedPageOptions<Request>> {
  return {
    authorize: validate.optionalFunction,
    deadlineMs: (value, name) => validate.integer(value ?? 5_000, name, 1, MAX_DEADLINE_MS),
    challenge: validate.optional(readChallenge),
    pardon: (value, name) => readQuestion(value ?? true, name),
    block: (value, name) => readQuestion(value ?? false, name),
    title: (value, name) => validate.text(value ?? 'Rate limits', name, 1, 100),
    maxStreams: (value, name) => validate.integer(value ?? 50, name, 1, MAX_STREAMS),
  }
}

/** Checks the options of a page. */
export function resolvePageOptions<Request>(
  options: PageOptions<Request>,
): ResolvedPageOptions<Request> {
  return validate.readOptions(options as ResolvedPageOptions<Request>, readers<Request>())
}

function readQuestion<Request>(value: unknown, name: string): boolean | PageQuestion<Request> {
  if (typeof value === 'boolean') return value
  if (typeof value === 'function') return value as PageQuestion<Request>
  throw validate.invalid(TypeError, 'INVALID_OPTION', name, 'true, false or a function', value)
}

/** Printable ASCII, so that it can stand in a header. */
function readChallenge(value: unknown, name: string): string {
  const words = validate.text(value, name, 1, 200)
  if (/^[\x21-\x7e][\x20-\x7e]*$/.test(words)) return words
  throw validate.invalid(RangeError, 'INVALID_OPTION', name, 'printable ASCII characters', value)
}
