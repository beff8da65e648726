/** What a field of a JSON log can be. `request` is a whole request line, as nginx's `$request`. */
export const ROLES = ['time', 'client', 'user', 'method', 'path', 'request'] as const

export type Role = (typeof ROLES)[number]

/** The names that pino, bunyan, caddy, morgan and the usual formats of nginx give; the first that a line has is taken. */
const NAMES: Readonly<Record<Role, readonly string[]>> = {
  time: ['time', 'timestamp', '@timestamp', 'ts', 'time_iso8601', 'time_local', 'msec', 'date'],
  client: [
    ...['ip', 'client_ip', 'clientIp', 'remote_addr', 'remoteAddress', 'remoteAddr', 'remote_ip'],
    ...['remote-addr', 'req.ip', 'req.remoteAddress', 'request.client_ip', 'request.remote_ip'],
    ...['request.remote_addr', 'request.ip', 'req.connection.remoteAddress', 'client'],
  ],
  user: ['user', 'user.id', 'remote_user', 'user_id', 'userId', 'remote-user', 'req.user'],
  method: ['method', 'req.method', 'request.method', 'request_method'],
  path: [
    ...['url', 'path', 'uri', 'req.url', 'request.uri', 'request.url', 'request_uri'],
    ...['req.originalUrl', 'originalUrl', 'req.path', 'request.path'],
  ],
  request: ['request', 'request_line'],
}

/** A name that is looked for in an object: what its value means, and what is looked for in its value. */
export interface Field {
  readonly name: Buffer
  readonly inner: FieldsByLength
  role: number
  /** Which of several fields of one role is taken: the lowest. */
  rank: number
}

/** Fields by the length of their names in bytes. */
export type FieldsByLength = (Field[] | undefined)[]

/** Fields of option `--time-field`, `--ip-field` and `--key`, in place of the usual ones. */
export type FieldNames = Partial<Readonly<Record<Role, string>>>

/** All fields that are looked for. A name with dots is found within objects, and as it stands. */
export function fieldsOf(given: FieldNames): FieldsByLength {
  const root: FieldsByLength = []
  for (const [role, name] of ROLES.entries()) {
    const own = given[name]
    const names = own === undefined ? NAMES[name] : [own]
    for (const [rank, path] of names.entries()) {
      place(root, [path], role, rank)
      if (path.includes('.')) place(root, path.split('.'), role, rank)
    }
  }
  return root
}

function place(root: FieldsByLength, path: readonly string[], role: number, rank: number): void {
  let fields = root
  let field: Field | undefined
  for (const word of path) {
    field = fieldNamed(fields, Buffer.from(word))
    fields = field.inner
  }
  if (field === undefined || field.role >= 0) return
  field.role = role
  field.rank = rank
}

function fieldNamed(fields: FieldsByLength, name: Buffer): Field {
  const peers = fields[name.length] ?? []
  fields[name.length] = peers
  const found = peers.find((peer) => peer.name.equals(name))
  if (found !== undefined) return found
  const made: Field = { name, inner: [], role: -1, rank: 0 }
  peers.push(made)
  return made
}
