import { isIP } from 'node:net'
import { Model, type Terms } from '../../fixtures/model.ts'

/** A request as the model reads it. */
export interface Read {
  readonly at: number
  readonly ip: string
  readonly user: string | undefined
  readonly method: string
  readonly path: string
}

const COMBINED =
  /^([^ ]+) ([^ ]+) (.*?) ?\[(\d\d)\/(\w{3})\/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)\] "((?:[^"\\]|\\.)*)" \d{3}(?: .*)?$/
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec'

/** Reads a line with regular expressions and `JSON.parse`: the request, or the kind of what is wrong with it. */
export function slowRead(line: string): Read | string {
  return line.startsWith('{') ? slowJson(line) : slowCombined(line)
}

function slowCombined(line: string): Read | string {
  const parts = COMBINED.exec(line)
  if (parts === null) return 'format'
  const [, ip = '', , user = '', day, month = '', year, h, m, s, sign, zh, zm, request = ''] = parts
  const local = Date.UTC(
    Number(year),
    MONTHS.indexOf(month) / 3,
    Number(day),
    Number(h),
    Number(m),
    Number(s),
  )
  const offset = (Number(zh) * 60 + Number(zm)) * 60_000
  const at = sign === '-' ? local + offset : local - offset
  const [, method, target] = /^([A-Za-z_-]+) ([^ ]+)/.exec(request) ?? []
  if (method === undefined || target === undefined) return 'request'
  const name = user.trimEnd()
  return {
    at,
    ip: clientOf(ip),
    user: name === '-' || name === '' ? undefined : name,
    method,
    path: pathOf(target),
  }
}

/** The fields that this model knows of. */
interface Fields
  extends Partial<Record<'url' | 'uri' | 'time' | 'ts' | 'ip' | 'user' | 'method', unknown>> {
  readonly remoteAddress?: unknown
  readonly client_ip?: unknown
  readonly remote_ip?: unknown
  readonly req?: Fields
  readonly request?: Fields
}

function slowJson(line: string): Read | string {
  let found: Fields
  try {
    found = JSON.parse(line)
  } catch {
    return 'json'
  }
  const req = found.req ?? found.request ?? {}
  const target = found.url ?? req.url ?? req.uri
  if (typeof target !== 'string') return 'request'
  const time = found.time ?? found.ts
  const at =
    typeof time === 'number'
      ? Math.round(time < 1e11 ? time * 1000 : time)
      : Date.parse(String(time))
  const ip = found.ip ?? req.remoteAddress ?? req.client_ip ?? req.remote_ip
  const user = found.user
  return {
    at,
    ip: clientOf(String(ip ?? '-')),
    user: user === undefined ? undefined : String(user),
    method: String(found.method ?? req.method ?? ''),
    path: pathOf(target),
  }
}

function pathOf(target: string): string {
  return target.replace(/^[a-z]+:\/\/[^/]*/, '').replace(/[?#].*$/s, '')
}

/** IPv4 as it is, mapped IPv6 as IPv4, other IPv6 by its first four groups. */
export function clientOf(text: string): string {
  if (isIP(text) !== 6) return isIP(text) === 4 ? text : `name:${text}`
  const host = new URL(`http://[${text}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(host)
  if (mapped !== null) {
    const [high, low] = [Number.parseInt(mapped[1] ?? '', 16), Number.parseInt(mapped[2] ?? '', 16)]
    return [high >> 8, high & 255, low >> 8, low & 255].join('.')
  }
  const [head = '', tail] = host.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = new Array(8 - front.length - back.length).fill('0')
  const groups = [...front, ...zeros, ...back].slice(0, 4).join(':')
  return new URL(`http://[${groups}::]/`).hostname.slice(1, -1).concat('/64')
}

/** What the model counts of a log. */
export interface Counted {
  readonly requests: number
  readonly refused: number
  readonly flaws: ReadonlyMap<string, number>
  readonly clients: ReadonlyMap<string, { requests: number; refused: number }>
  readonly minutes: ReadonlyMap<number, number>
  readonly routes: ReadonlyMap<string, number>
  /** Most requests of each client in a minute of the clock. */
  readonly peaks: readonly number[]
}

/** Sorts all requests by time and asks the model of a limiter about each. */
export function slowReplay(
  lines: readonly string[],
  terms: Terms,
  keyOf: (read: Read) => string | undefined = (read) => read.ip,
): Counted {
  const read = lines.filter((line) => line !== '').map(slowRead)
  const flaws = new Map<string, number>()
  for (const flaw of read) if (typeof flaw === 'string') add(flaws, flaw)
  const requests = read
    .filter((found) => typeof found !== 'string')
    .filter((found) => keyOf(found) !== undefined)
    .toSorted((a, b) => a.at - b.at)
  const model = new Model(terms)
  const clients = new Map<string, { requests: number; refused: number }>()
  const minutes = new Map<number, number>()
  const routes = new Map<string, number>()
  const each = new Map<string, number>()
  for (const request of requests) {
    const key = String(keyOf(request))
    const client = clients.get(key) ?? { requests: 0, refused: 0 }
    clients.set(key, client)
    client.requests++
    const minute = Math.floor(request.at / 60_000)
    add(each, `${minute} ${key}`)
    if (model.allow(key, request.at, 1)) continue
    client.refused++
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1)
    add(routes, routeOf(request))
  }
  return {
    requests: requests.length,
    refused: [...clients.values()].reduce((sum, { refused }) => sum + refused, 0),
    flaws,
    clients,
    minutes,
    routes,
    peaks: peaksOf(each),
  }
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}

function peaksOf(each: ReadonlyMap<string, number>): number[] {
  const peaks = new Map<string, number>()
  for (const [minuteAndKey, count] of each) {
    const key = minuteAndKey.slice(minuteAndKey.indexOf(' '))
    peaks.set(key, Math.max(peaks.get(key) ?? 0, count))
  }
  return [...peaks.values()].toSorted((a, b) => a - b)
}

const ID =
  /^(\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=.*\d)[0-9a-f]{16,})$/i

function routeOf({ method, path }: Read): string {
  const words = path.split('/').map((word) => (ID.test(word) ? ':id' : word))
  return `${method} ${words.join('/')}`
}
