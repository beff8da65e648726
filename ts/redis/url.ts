/** A server by name or address. */
export interface Host {
  readonly host: string
  readonly port: number
}

/** Where Redis is, as a URL says it. */
export interface Address {
  readonly kind: 'single' | 'sentinel' | 'cluster' | 'unix'
  readonly hosts: readonly Host[]
  /** Of a Unix socket: its file. */
  readonly path: string
  readonly db: number
  /** Of Sentinel: the name of the group of servers. */
  readonly master: string
  readonly credentials: Credentials
}

/** What a connection is opened with. */
export interface Credentials {
  readonly username?: string
  readonly password?: string
  readonly tls?: object
}

type HostKind = Exclude<Address['kind'], 'unix'>

const SCHEME = /^(redis|valkey)(s?)(?:\+(sentinel|cluster|unix))?$/
const FORMS =
  'redis://[[user]:password@]host[:port][/db], ' +
  'redis+sentinel://[[user]:password@]host[:port],host[:port].../name[/db], ' +
  'redis+cluster://[[user]:password@]host[:port],host[:port]..., ' +
  'redis+unix://[[user]:password@]/path[?db=number], rediss: for TLS, and valkey: for redis:'
const PORTS = { single: 6379, sentinel: 26379, cluster: 6379 } as const
const MAX_DB = 2 ** 31 - 1

/**
 * Reads a URL. A URL is a secret: what is wrong with it is said in our words, and nothing of it is shown.
 *
 * @throws RangeError that names the part which is wrong and the accepted forms
 */
export function readAddress(url: string): Address {
  const [, scheme = '', authority = '', path = '', query = ''] =
    /^([a-z+]+):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?$/i.exec(url) ?? refuse('the whole')
  const [, , tls, kind = 'single'] = SCHEME.exec(scheme.toLowerCase()) ?? refuse('the scheme')
  const at = authority.lastIndexOf('@')
  const user = readUser(at < 0 ? '' : authority.slice(0, at))
  const host = authority.slice(at + 1)
  if (kind === 'unix') {
    if (tls !== '') refuse('the scheme: a socket has no TLS')
    if (host !== '' || path.length < 2) refuse("the socket's path")
    const db = readQuery(query)
    return { kind, hosts: [], path: decode(path), db, master: '', credentials: user }
  }
  if (query !== '') refuse('the query')
  const form = kind as HostKind
  const credentials = { ...user, ...(tls === '' ? {} : { tls: {} }) }
  return {
    kind: form,
    hosts: readHosts(host, form),
    path: '',
    credentials,
    ...readPath(path, form),
  }
}

/** Of a socket: `?db=1`. */
function readQuery(query: string): number {
  if (query === '') return 0
  const [, db] = /^\?db=(\d+)$/.exec(query) ?? refuse('the query')
  if (Number(db) > MAX_DB) refuse('the database')
  return Number(db)
}

function readHosts(text: string, kind: HostKind): readonly Host[] {
  const hosts = text.split(',').map((part) => readHost(part, PORTS[kind]))
  if (kind === 'single' && hosts.length > 1) refuse('the host')
  return hosts
}

function readHost(text: string, defaultPort: number): Host {
  const [, bracketed, plain, digits] =
    /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d*))?$/i.exec(text) ?? refuse('the host or port')
  const port = digits === undefined || digits === '' ? defaultPort : Number(digits)
  if (port < 1 || port > 65_535) refuse('the port')
  return { host: bracketed ?? plain ?? '', port }
}

function readUser(text: string): Credentials {
  if (text === '') return {}
  const colon = text.indexOf(':')
  // As ioredis and redis-cli do: one word without a colon is a user name, and of no use.
  if (colon < 0) return refuse('the password')
  const username = decode(text.slice(0, colon))
  const password = decode(text.slice(colon + 1))
  return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) }
}

function readPath(path: string, kind: HostKind): { db: number; master: string } {
  const parts = path.split('/').slice(1)
  const master = kind === 'sentinel' ? decode(parts.shift() ?? '') : ''
  if (kind === 'sentinel' && master === '') refuse("the name of Sentinel's group")
  const [db = '', ...more] = parts
  if (more.length > 0 || !/^\d*$/.test(db) || Number(db) > MAX_DB) refuse('the database')
  if (kind === 'cluster' && Number(db) > 0) refuse('the database: a cluster has only one, 0')
  return { db: Number(db), master }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse('the percent-encoding')
  }
}

function refuse(part: string): never {
  const message = `storage: ${part} of the URL is not understood (it is not shown, as it may hold a password)`
  throw Object.assign(new RangeError(`${message}; accepted are ${FORMS}`), {
    code: 'INVALID_STORAGE',
  })
}
