import { afterEach, describe, expect, it, vi } from 'vitest'
import { readTrust, type Trust } from '../../ts/client-ip/trust-proxy.ts'
import { byLength } from '../fixtures/long.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { addressLike, mutated, oracle } from './generate.ts'

const PEER = '10.0.0.1'
const ROUNDS = byLength(100_000, 500_000)

/** A header of up to five entries, and three with mistakes made from it. */
function headers(random: Random, entry: () => string): string[] {
  const entries = Array.from({ length: random.integer(1, 5) }, () => entry())
  const text = entries.join(random.pick([',', ', ', ' ,']))
  return [text, mutated(text, random), mutated(text, random), mutated(text, random)]
}

function hopLike(random: Random): string {
  if (random.chance(0.4))
    return random.pick(['10.0.0.2', '::ffff:10.1.1.1', '[::ffff:a00:3]:80', '10.9.9.9:1'])
  const address = addressLike(random)
  return random.pick([
    address,
    address,
    `${address}:80`,
    `[${address}]`,
    `[${address}]:8080`,
    'unknown',
    '_x',
  ])
}

/** A slow reference for a hop: an entry without port and brackets, if `net.isIP` accepts it. */
function slowHop(entry: string, known: Map<string, string | undefined>): string | undefined {
  if (known.has(entry)) return known.get(entry)
  const port = /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]*))(?::(?:\d{1,5}|_[\w.-]+))?$/.exec(entry)
  const address = port?.[1] ?? port?.[2] ?? entry
  const hop = entry.length > 64 || address.includes('%') ? undefined : oracle(address)
  known.set(entry, hop)
  return hop
}

function trimmed(entry: string): string {
  return entry.replace(/^[ \t]+|[ \t]+$/g, '')
}

/** A slow reference for the search, over entries that are split beforehand. */
function slowWalk(hops: readonly (string | undefined)[]): string {
  let client = PEER
  for (const hop of hops.toReversed()) {
    if (hop === undefined || !client.startsWith('10.')) return client
    client = hop
  }
  return client
}

describe('mutated headers (H3)', () => {
  it('of X-Forwarded-For give the peer or a valid hop, the same as a slow reference finds', () => {
    const random = randomFor('X-Forwarded-For')
    const trust = readTrust('10.0.0.0/8', 'trustProxy')
    const found = { peer: 0, hop: 0 }
    for (let i = 0; i < ROUNDS / 4; i++) {
      const known = new Map<string, string | undefined>()
      for (const text of headers(random, () => hopLike(random))) {
        const client = trust.resolve(PEER, { 'x-forwarded-for': text })
        const expected = slowWalk(text.split(',').map((entry) => slowHop(trimmed(entry), known)))
        if (client !== expected) expect(client, JSON.stringify(text)).toBe(expected)
        found[client === PEER ? 'peer' : 'hop']++
      }
    }
    expect(Math.min(found.peer, found.hop)).toBeGreaterThan(ROUNDS / 10)
  })

  it('of Forwarded give the peer or an address of the header', () => {
    const random = randomFor('mutated Forwarded')
    const trust = readTrust({ proxies: '10.0.0.0/8', header: 'forwarded' }, 'trustProxy')
    const element = (): string => {
      const quote = random.pick(['"', '"', ''])
      return `${random.pick(['for', 'For', 'by;for'])}=${quote}${hopLike(random)}${quote}${random.pick(['', ';proto=http', ';host="a,b"'])}`
    }
    const found = { peer: 0, hop: 0 }
    for (let i = 0; i < ROUNDS / 4; i++) {
      const known = new Map<string, string | undefined>()
      for (const text of headers(random, element)) {
        const client = trust.resolve(PEER, { forwarded: text })
        found[client === PEER ? 'peer' : 'hop']++
        if (client === PEER || addressesIn(text, known).has(client)) continue
        expect.fail(`${client} from ${JSON.stringify(text)}`)
      }
    }
    expect(Math.min(found.peer, found.hop)).toBeGreaterThan(ROUNDS / 10)
  })
})

/** Every value of a `for` that is a hop, whatever stands around it: each is looked at by itself. */
function addressesIn(
  text: string,
  known: Map<string, string | undefined>,
): Set<string | undefined> {
  const values = text.matchAll(/for=(?=(?:"((?:[^"\\]|\\.)*)"|([^",;\s]*)))/gi)
  const plain = [...values].map(
    ([, quoted, token]) => quoted?.replace(/\\(.)/g, '$1') ?? token ?? '',
  )
  return new Set(plain.map((value) => slowHop(value, known)))
}

describe('a header of a megabyte (H8)', () => {
  const MEGABYTE = 1 << 20
  const FILLERS = [
    '1.1.1.1,',
    ',',
    ' ',
    '\t',
    'x',
    '1',
    ':',
    '[',
    '"',
    '\\',
    '\\"',
    '",',
    'for=',
    ';',
    'for=1.1.1.1;',
    '="',
    '%',
    '=',
    'a=b;',
    'a="b",',
  ]

  afterEach(() => void vi.restoreAllMocks())

  function trusts(): Trust[] {
    return ['x-forwarded-for', 'forwarded'].flatMap((header) => [
      readTrust({ proxies: ['10.0.0.0/8', '1.1.1.1'], header }, 'trustProxy'),
      readTrust({ proxies: 'everybody-even-if-forged', header }, 'trustProxy'),
    ])
  }

  it('is read only in part, whatever it contains', () => {
    const looks = vi.spyOn(String.prototype, 'charCodeAt')
    const searched = spyOnSubjects(String.prototype, 'lastIndexOf')
    const matched = spyOnArguments(RegExp.prototype, 'exec')
    for (const filler of FILLERS) {
      const text = filler.repeat(MEGABYTE / filler.length)
      for (const trust of trusts()) {
        looks.mockClear()
        trust.resolve(PEER, { 'x-forwarded-for': text, forwarded: text })
        expect(looks.mock.calls.length, filler).toBeLessThan(4 * 16_384)
      }
    }
    expect(Math.max(...searched, ...matched)).toBeLessThanOrEqual(16_384)
    expect(searched.length).toBeGreaterThan(0)
    expect(matched.length).toBeGreaterThan(0)
  })

  it('takes at most a millisecond to read, also many times in a row', () => {
    const all = trusts()
    const texts = FILLERS.map((filler) => filler.repeat(MEGABYTE / filler.length))
    const start = process.cpuUsage()
    for (const text of texts) {
      for (const trust of all) trust.resolve(PEER, { 'x-forwarded-for': text, forwarded: text })
    }
    const { user, system } = process.cpuUsage(start)
    // A split of one such text alone takes some 20 ms; the room is for slow machines.
    expect((user + system) / 1_000 / (texts.length * all.length)).toBeLessThan(5)
  })

  it('in several lines has its last lines read', () => {
    const lines = [...Array<string>(100_000).fill('9.9.9.9'), '203.0.113.1', '10.0.0.2']
    for (const trust of trusts().slice(0, 1)) {
      expect(trust.resolve(PEER, { 'x-forwarded-for': lines })).toBe('203.0.113.1')
    }
  })
})

/** Lengths of the texts that a method was called on. */
function spyOnSubjects(prototype: typeof String.prototype, method: 'lastIndexOf'): number[] {
  const lengths: number[] = []
  const original = prototype[method]
  vi.spyOn(prototype, method).mockImplementation(function (this: string, ...args) {
    lengths.push(this.length)
    return original.apply(this, args)
  })
  return lengths
}

/** Lengths of the texts that a method was called with. */
function spyOnArguments(prototype: RegExp, method: 'exec'): number[] {
  const lengths: number[] = []
  const original = prototype[method]
  vi.spyOn(prototype, method).mockImplementation(function (this: RegExp, text) {
    lengths.push(text.length)
    return original.call(this, text)
  })
  return lengths
}
