import { withCode } from '../validate.ts'

/** Where Redis is, as read from a URL. */
export interface RedisAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  /** As ioredis takes them: hosts with their ports, or the path of a Unix socket. */
  readonly hosts: readonly object[]
  readonly db: number
  /** Of Sentinel: the name of the group of servers. */
  readonly master: string
  readonly credentials: Credentials
}

interface Credentials {
  readonly username?: string
  readonly password?: string
  readonly tls?: object
}

type Kind = RedisAddress['kind']

const SCHEME = /^(redis|valkey)(s?)(?:\+(sentinel|cluster|unix))?$/
const FORMS =
  'redis://[[user]:password@]host[:port][/db], ' +
  'redis+sentinel://[[user]:password@]host[:port],host[:port].../name[/db], ' +
  'redis+cluster://[[user]:password@]host[:port],host[:port]..., ' +
  'redis+unix://[[user]:password@]/path[?db=number], rediss: for TLS, or valkey: for redis:'
const DEFAULT_PORTS = { single: 6379, sentinel: 26379, cluster: 6379 } as const
const MAX_DB = 2 ** 31 - 1

/** Whether the part of a URL before the colon, in lower case, stands for Redis or Valkey. */
export function isRedisScheme(scheme: string): boolean {
  return SCHEME.test(scheme)
}

/**
 * Reads a Redis URL. A URL may contain a password: errors describe what is wrong without showing any of it.
 *
 * @throws RangeError with code INVALID_STORAGE that names the invalid part and the accepted forms
 */
export function readUrl(url: string): RedisAddress {
  const [, scheme = '', authority = '', path = '', query = ''] =
    /^([a-z+]+):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?$/i.exec(url) ?? refuse()
  const [, , tls, kind = 'single'] = SCHEME.exec(scheme.toLowerCase()) ?? refuse('scheme')
  const at = authority.lastIndexOf('@')
  const credentials = {
    ...readUser(at < 0 ? '' : authority.slice(0, at)),
    ...(tls === '' ? {} : { tls: {} }),
  }
  const host = authority.slice(at + 1)
  if (kind === 'unix') {
    if (tls !== '') refuse('scheme: a Unix socket has no TLS')
    if (host !== '' || path.length < 2) refuse('socket path')
    const hosts = [{ path: decode(path) }]
    const [, digits = ''] = /^(?:\?db=(\d+))?$/.exec(query) ?? refuse('query')
    return { kind: 'single', hosts, db: readDb(digits), master: '', credentials }
  }
  if (query !== '') refuse('query')
  const form = kind as Kind
  return { kind: form, hosts: readHosts(host, form), credentials, ...readPath(path, form) }
}

function readDb(digits: string): number {
  return /^\d*$/.test(digits) && Number(digits) <= MAX_DB ? Number(digits) : refuse('database')
}

function readHosts(text: string, kind: Kind): RedisAddress['hosts'] {
  const hosts = text.split(',').map((part) => {
    const [, bracketed, plain, digits = ''] =
      /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d*))?$/i.exec(part) ?? refuse('host or port')
    const port = digits === '' ? DEFAULT_PORTS[kind] : Number(digits)
    if (port < 1 || port > 65_535) refuse('port')
    return { host: bracketed ?? plain ?? '', port }
  })
  if (kind === 'single' && hosts.length > 1) refuse('host')
  return hosts
}

function readUser(text: string): Credentials {
  if (text === '') return {}
  const colon = text.indexOf(':')
  // ioredis and redis-cli would take a single word for a user name, which is useless without a password.
  if (colon < 0) return refuse('password')
  const username = decode(text.slice(0, colon))
  const password = decode(text.slice(colon + 1))
  return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) }
}

function readPath(path: string, kind: Kind): { db: number; master: string } {
  const parts = path.split('/').slice(1)
  const master = kind === 'sentinel' ? decode(parts.shift() ?? '') : ''
  if (kind === 'sentinel' && master === '') refuse('name of the Sentinel group')
  const db = parts.length > 1 ? refuse('database') : readDb(parts[0] ?? '')
  if (kind === 'cluster' && db > 0) refuse('database: a cluster has only database 0')
  return { db, master }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse('percent-encoding')
  }
}

/** @param part what is wrong; nothing if the text is not a URL at all */
function refuse(part?: string): never {
  const got = part === undefined ? 'a text that is not a URL' : `one with an invalid ${part}`
  const message = `storage must be a valid Redis URL, got ${got} (not shown, it may contain a password)`
  throw withCode(new RangeError(`${message}; accepted forms: ${FORMS}`), 'INVALID_STORAGE')
}
