import * as validate from '../../validate.ts'

/** What all channels that post can be told. */
export interface ChannelOptions {
  /** For each of three tries, from 10 to 10,000 milliseconds. Default: 2,000 */
  readonly timeoutMs?: number | undefined
  /** The host of the URL, if it has http and is not this host: what is sent there can be read on its way. */
  readonly allowHttp?: string | undefined
}

const MAX_URL_LENGTH = 2_048
const [MIN_TIMEOUT_MS, MAX_TIMEOUT_MS] = [10, 10_000]
const DEFAULT_TIMEOUT_MS = 2_000
const MAX_HEADERS = 32
const LOOPBACK = /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/
/** Headers that say what is sent, and to whom. */
const OURS =
  /^(?:content-type|content-length|transfer-encoding|connection|host|x-ratethrottle-.*)$/i

/**
 * Checks where to post. A URL of a webhook is a secret, so no error shows it.
 *
 * @throws TypeError or RangeError that says what is accepted
 */
export function readUrl(value: unknown, allowHttp: unknown): URL {
  const isText = typeof value === 'string' || value instanceof URL
  if (!isText) throw refused(TypeError, 'a URL')
  const text = String(value)
  if (text.length > MAX_URL_LENGTH || !URL.canParse(text)) {
    throw refused(RangeError, `a URL of at most ${MAX_URL_LENGTH} characters`)
  }
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') {
    throw refused(RangeError, 'a URL without a user and a password; use headers: { authorization }')
  }
  if (url.protocol === 'https:') return url
  const host = readAllowed(allowHttp)
  if (url.protocol === 'http:' && (LOOPBACK.test(url.hostname) || url.hostname === host)) return url
  throw refused(
    RangeError,
    'a URL with https; with http only to this host, or to the host that option allowHttp names',
  )
}

function refused(Kind: typeof TypeError | typeof RangeError, accepted: string): Error {
  const message = `url must be ${accepted} (it is not shown, as it may be a secret)`
  return validate.withCode(new Kind(message), 'INVALID_OPTION')
}

function readAllowed(value: unknown): string | undefined {
  return value === undefined ? undefined : validate.text(value, 'allowHttp', 1, 253).toLowerCase()
}

/** Reads option `timeoutMs`. */
export function readTimeout({ timeoutMs = DEFAULT_TIMEOUT_MS }: ChannelOptions): number {
  return validate.integer(timeoutMs, 'timeoutMs', MIN_TIMEOUT_MS, MAX_TIMEOUT_MS)
}

/** Checks further headers. Errors name a header, and never show its value. */
export function readHeaders(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw validate.invalid(TypeError, 'INVALID_OPTION', 'headers', 'an object', value)
  }
  const entries = Object.entries(value)
  if (entries.length > MAX_HEADERS) {
    const accepted = `at most ${MAX_HEADERS} headers`
    throw validate.invalid(RangeError, 'INVALID_OPTION', 'headers', accepted, entries.length)
  }
  for (const [name, text] of entries) checkHeader(name, text)
  return Object.fromEntries(entries)
}

function checkHeader(name: string, text: unknown): void {
  if (!/^[\w!#$%&'*+.^`|~-]{1,128}$/.test(name) || OURS.test(name)) {
    const accepted = 'names of headers that are not set by this package'
    throw validate.invalid(RangeError, 'INVALID_OPTION', 'headers', accepted, name)
  }
  if (typeof text === 'string' && text.length <= 4_096 && /^[\t\x20-\x7e]*$/.test(text)) return
  const message = `headers[${validate.printable(name)}] must be a string of at most 4096 printable ASCII characters`
  throw validate.withCode(new TypeError(`${message} (it is not shown)`), 'INVALID_OPTION')
}
