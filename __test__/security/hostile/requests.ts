import type { Random } from '../../fixtures/random.ts'

/** A request as an attacker may send it, and what a limiter should make of it. */
export interface Hostile {
  /** Who it really is from; the tests know, a server has to find out. */
  readonly client: string
  /** What the kernel says of the socket's other end. */
  readonly peer: string
  readonly method: string
  readonly path: string
  /** As node:http gives them. */
  readonly headers: Record<string, string>
}

/** The proxies of these tests, and no other addresses. */
export const PROXIES = '10.0.0.0/8'
const CLIENTS = 500

/** Texts on which a known parser has failed. */
const ODD: readonly string[] = [
  ...[
    '',
    ' ',
    ',',
    ',,,',
    ';',
    '"',
    '"\\',
    '[',
    ']',
    '[]',
    '[::]',
    '::',
    '%',
    '%00',
    '\0',
    '\x7f',
    'é',
  ],
  ...['__proto__', 'constructor', 'toString', 'undefined', 'null', 'NaN', 'true', '-1', '1e309'],
  ...['127.0.0.1', '::1', '0.0.0.0', '10.0.0.1', '10.255.255.255', '::ffff:10.0.0.1', '0x0a.1'],
  ...[
    '10.0.0.1:80',
    '[::ffff:a00:1]:443',
    '010.0.0.1',
    '167772161',
    '1.2.3.4, 10.0.0.1',
    'fe80::1%10',
  ],
  ...[
    'for=10.0.0.1',
    'for="',
    'for="[::1]:x";for=1.1.1.1',
    'for=_x;by=10.0.0.1',
    'for=unknown',
    'FOR=::',
  ],
  ...['unix', 'unix:', 'localhost', 'loopback', '\u2028', '\u001b[2J', '<img onerror>', "' or 1=1"],
]
const NAMES: readonly string[] = [
  ...[
    'x-forwarded-for',
    'forwarded',
    'x-real-ip',
    'cf-connecting-ip',
    'true-client-ip',
    'via',
    'cookie',
  ],
  ...[
    'x-forwarded-host',
    'x-forwarded-proto',
    'content-type',
    'content-length',
    'transfer-encoding',
  ],
  ...[
    'expect',
    'upgrade',
    'connection',
    'range',
    'accept',
    'if-none-match',
    'x-http-method-override',
  ],
  ...[
    '__proto__',
    'constructor',
    'hasownproperty',
    'x-api-key',
    'authorization',
    'retry-after',
    'te',
  ],
]
const METHODS: readonly string[] = [
  ...['GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT'],
  ...['PROPFIND', 'M-SEARCH', 'PURGE', 'QUERY', 'get', 'G\0T', '', '__proto__', 'CONSTRUCTOR'],
]
const PATHS: readonly string[] = [
  ...[
    '/',
    '/',
    '//',
    '/./',
    '/../',
    '/%2e%2e/',
    '/%',
    '/%zz',
    '/%00',
    '/%c0%af',
    '/a%2fb',
    '/?',
    '/?a[]=1',
  ],
  ...[
    '/?__proto__[x]=1',
    '/#',
    '*',
    'http://evil.test/',
    '/\\',
    '/;x',
    '/é',
    '/%F0%9F%98%80',
    '/ /',
    '/\t',
  ],
]

/** A random request, of one of 500 clients. */
export function randomHostile(random: Random, header: 'x-forwarded-for' | 'forwarded'): Hostile {
  const [client, address] = randomClient(random)
  const headers: Record<string, string> = { host: 'localhost' }
  for (let i = random.integer(0, 4); i > 0; i--) {
    // Own, whatever its name: an assignment to __proto__ would set none.
    Object.defineProperty(headers, random.pick(NAMES), {
      ...{ value: randomText(random), enumerable: true, writable: true, configurable: true },
    })
  }
  const isProxied = random.chance(0.7)
  if (isProxied) headers[header] = proxied(random, header, headers[header], address)
  return {
    client,
    peer: isProxied ? randomProxy(random) : spelled(random, address),
    method: random.pick(METHODS),
    path: random.chance(0.8) ? random.pick(PATHS) : `/${encodeURI(plain(randomText(random)))}`,
    headers,
  }
}

/** What a proxy writes: whatever came, then who sent it, then perhaps proxies behind it. */
function proxied(
  random: Random,
  header: string,
  came: string | undefined,
  address: string,
): string {
  const isForwarded = header === 'forwarded'
  const written = isForwarded ? forwardedFor(address) : hop(random, address)
  const chain = came === undefined ? [written] : [came, written]
  while (random.chance(0.3)) {
    const proxy = randomProxy(random)
    chain.push(isForwarded ? forwardedFor(proxy) : proxy)
  }
  return chain.join(random.pick([',', ', ', ' , ']))
}

function forwardedFor(address: string): string {
  return address.includes(':') ? `for="[${address}]:4711";proto=http` : `For=${address}`
}

function hop(random: Random, address: string): string {
  if (!address.includes(':')) return random.pick([address, `${address}:80`, `::ffff:${address}`])
  return random.pick([address, `[${address}]`, `[${address}]:443`, address.toUpperCase()])
}

/** A client and one of its addresses: of a whole /64 if it has IPv6. */
function randomClient(random: Random): [client: string, address: string] {
  const i = random.integer(0, CLIENTS - 1)
  if (i % 2 === 0) {
    const address = `203.0.${i >> 8}.${i & 255}`
    return [address, address]
  }
  const network = `2001:db8:${i.toString(16)}:1`
  const host = Array.from({ length: 4 }, () => random.integer(1, 0xffff).toString(16)).join(':')
  return [`${network}::/64`, `${network}:${host}`]
}

function randomProxy(random: Random): string {
  return `10.${random.integer(0, 3)}.0.${random.integer(1, 9)}`
}

/** As the kernel of a dual-stack or of an IPv4 socket spells it. */
function spelled(random: Random, address: string): string {
  return !address.includes(':') && random.chance(0.5) ? `::ffff:${address}` : address
}

/** Odd pieces, long ones now and then, or random units. */
function randomText(random: Random): string {
  const pieces = Array.from({ length: random.integer(1, 3) }, () => {
    if (random.chance(0.7)) return random.pick(ODD)
    if (random.chance(0.02)) return random.pick(ODD).repeat(2_000).slice(0, 16_000)
    const length = random.integer(1, 12)
    return String.fromCharCode(...Array.from({ length }, () => random.integer(0, 255)))
  })
  return pieces.join(random.pick(['', ',', ', ', ';']))
}

function plain(text: string): string {
  return text.toWellFormed().slice(0, 200)
}
