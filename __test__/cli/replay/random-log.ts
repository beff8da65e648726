import type { Random } from '../../fixtures/random.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const ZONES = [0, 0, 60, -420, 330, 765, -570]
const BROKEN = [
  'Segmentation fault',
  '10.0.0.1 - - [30/Nov/2026:11:28:10 +0000] "GET /cut',
  '10.0.0.1 - - [30/Nov/2026:11:28:10 +0000] "-" 408 0 "-" "-"',
  '10.0.0.1 - - [30/Nov/2026:11:28:10 +0000] "\\x16\\x03\\x01" 400 157 "-" "-"',
  '10.0.0.1 - - [30/Nov/2026:11:28:10 +0000] "GET / HTTP/1.1" 2000 1',
  '{"time":1796038090123,"url":"/cut"',
  '{"time":1796038090123,"url":"/a",}',
  '{"time":1796038090123,"msg":"listening"}',
  '',
]
const PATHS = [
  '/',
  '/api/items/42?page=2&q=%22',
  '/api/users/550e8400-e29b-41d4-a716-446655440000/posts/7',
  '/o/507f1f77bcf86cd799439011',
  '/deadbeef/dead/1-2',
  '/q?a=\\"b\\" c\\\\',
  'http://example.com/abs/1?x',
  '/caf\u00e9/\u{1f600}',
]

/** Lines of a log whose times run from `from` on, a little out of order, some of them broken. */
export function randomLog(random: Random, count: number, from: number, stepMs = 400): string[] {
  let time = from
  const clients = Array.from({ length: 40 }, () => randomClient(random))
  return Array.from({ length: count }, () => {
    time += random.next() * stepMs
    if (random.chance(0.03)) return random.pick(BROKEN)
    const at = Math.max(0, Math.floor(time - (random.chance(0.2) ? random.integer(0, 20_000) : 0)))
    const client = clients[Math.floor(clients.length * random.next() ** 2)] ?? '10.0.0.1'
    return random.chance(0.5) ? combined(random, at, client) : json(random, at, client)
  })
}

function randomClient(random: Random): string {
  const byte = (): number => random.integer(0, 255)
  const four = `${byte()}.${byte()}.${byte()}.${byte()}`
  const group = (): string => random.integer(0, 65_535).toString(16)
  return random.pick([
    four,
    four,
    four,
    `::ffff:${four}`,
    `2001:db8:${group()}:${group()}::${group()}`,
    `2001:DB8:0:1:${group()}:${group()}:${group()}:${group()}`,
    'host.example.com',
  ])
}

function combined(random: Random, at: number, client: string): string {
  const user = random.pick(['-', '-', 'ada', 'a b [c]', 'caf\u00e9'])
  const target = random.pick(PATHS).replaceAll(' ', '+')
  const rest = random.pick([
    '',
    ' 5 "-" "curl/8"',
    ' - "http://x/\\"" "a \\\\"',
    ' 5 "-" "m" "1.2.3.4, 5.6.7.8"',
  ])
  const request = `${random.pick(['GET', 'POST'])} ${target}${random.pick([' HTTP/1.1', ''])}`
  return `${client} - ${user} [${clfTime(at, random.pick(ZONES))}] "${request}" 200${rest}`
}

/** `10/Oct/2000:13:55:36 -0700`. */
export function clfTime(at: number, zone: number): string {
  const local = new Date(at + zone * 60_000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${two(local.getUTCDate())}/${MONTHS[local.getUTCMonth()]}/${local.getUTCFullYear()}`
  const clock = [local.getUTCHours(), local.getUTCMinutes(), local.getUTCSeconds()].map(two)
  const away = Math.abs(zone)
  return `${day}:${clock.join(':')} ${zone < 0 ? '-' : '+'}${two(Math.floor(away / 60))}${two(away % 60)}`
}

function json(random: Random, at: number, client: string): string {
  const method = random.pick(['GET', 'DELETE'])
  const url = random.pick(PATHS)
  const user = random.pick([undefined, undefined, 'ada', 'caf\u00e9', 7])
  const line = random.pick([
    {
      level: 30,
      time: at,
      user,
      req: { method, url, remoteAddress: client },
      x: [1, { ip: 'no' }],
    },
    { ts: at / 1000, user, request: { client_ip: client, remote_ip: '9.9.9.9', method, uri: url } },
    { time: new Date(at).toISOString(), ip: client, url, method, user, msg: '\u2028 "\\ \u0001' },
  ])
  const text = JSON.stringify(line)
  return random.chance(0.2) ? text.replaceAll('/', '\\/') : text
}
