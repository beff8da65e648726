import { describe, expect, it } from 'vitest'
import { forwarded, forwardedFor } from '../../ts/client-ip/forwarded.ts'
import { randomFor } from '../fixtures/random.ts'
import { ipv4, ipv6, oracle } from './generate.ts'

const NONE = undefined

describe('X-Forwarded-For', () => {
  it.each([
    ['1.2.3.4', ['1.2.3.4']],
    ['1.1.1.1, 2.2.2.2,3.3.3.3', ['3.3.3.3', '2.2.2.2', '1.1.1.1']],
    [' \t1.1.1.1 \t,\t2.2.2.2 ', ['2.2.2.2', '1.1.1.1']],
    ['1.2.3.4:80', ['1.2.3.4']],
    ['[2001:db8::1]:80, [2001:DB8::2], 2001:db8::3', ['2001:db8::3', '2001:db8::2', '2001:db8::1']],
    ['::ffff:1.2.3.4, [::ffff:102:305]:1', ['1.2.3.5', '1.2.3.4']],
    ['2001:db8::1:80', ['2001:db8::1:80']],
    // An entry that is no address, one with a zone, an empty one.
    ['', [NONE]],
    [',', [NONE, NONE]],
    ['1.1.1.1,', [NONE, '1.1.1.1']],
    [',1.1.1.1', ['1.1.1.1', NONE]],
    ['1.1.1.1,,2.2.2.2', ['2.2.2.2', NONE, '1.1.1.1']],
    ['fe80::1%eth0, ::ffff:1.2.3.4%x, [fe80::1%1]:80', [NONE, NONE, NONE]],
    ['unknown, _hidden, garbage0, -', [NONE, NONE, NONE, NONE]],
    ['1.2.3.4:, 1.2.3.4:x, 1.2.3.4:123456, 1.2.3.4:80:80', [NONE, NONE, NONE, NONE]],
    ['[1.2.3.4], [1.2.3.4]:80, [::1, ::1], []', [NONE, NONE, NONE, NONE, NONE]],
    ['[::1]80, [::1]:, [::1]x, [[::1]]', [NONE, NONE, NONE, NONE]],
    ['"1.2.3.4", \'1.2.3.4\', 1.2.3.4 5.6.7.8', [NONE, NONE, NONE]],
    ['\u00a01.2.3.4, 1.2.3.4\v', [NONE, NONE]],
    ['127.1, 0x7f.0.0.1, 2130706433, 010.0.0.1', [NONE, NONE, NONE, NONE]],
  ])('%j has the hops %j, read from the right (H3, H8)', (text, hops) => {
    expect([...forwardedFor(text)]).toEqual(hops)
  })

  it('is read from the right for 64 hops', () => {
    const hops = Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`)
    expect([...forwardedFor(hops.join(', '))]).toEqual(hops.toReversed().slice(0, 64))
  })

  it('has no hop that is the end of a longer text', () => {
    expect([...forwardedFor(`${'1'.repeat(5_000)}.2.3.4`)]).toEqual([NONE])
    expect([...forwardedFor(`1.1.1.1,${'1'.repeat(5_000)}.2.3.4, 5.6.7.8`)]).toEqual([
      '5.6.7.8',
      NONE,
    ])
    // The part that is read begins right before the last digits of an address.
    for (let filler = 4_130; filler < 4_170; filler++) {
      const [last] = [...forwardedFor(`11.22.33.44,${' '.repeat(filler)}`)].reverse()
      expect(last === NONE || last === '11.22.33.44').toBe(true)
    }
  })
})

describe('Forwarded, RFC 7239 (H4)', () => {
  it.each([
    // The examples of the RFC.
    ['for="_gazonk"', [NONE]],
    ['For="[2001:db8:cafe::17]:4711"', ['2001:db8:cafe::17']],
    ['for=192.0.2.60;proto=http;by=203.0.113.43', ['192.0.2.60']],
    ['for=192.0.2.43, for=198.51.100.17', ['198.51.100.17', '192.0.2.43']],
    [
      'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
      [NONE, '2001:db8:cafe::17', '192.0.2.43'],
    ],
    ['for=_hidden, for=_SEVKISEK', [NONE, NONE]],
    ['for="192.0.2.43:47011"', ['192.0.2.43']],
    ['for="192.0.2.43:_port"', ['192.0.2.43']],
    // Names in any case, parameters in any order, unknown ones, empty ones, blanks.
    ['FOR=1.2.3.4', ['1.2.3.4']],
    ['proto=https;fOr=1.2.3.4;host=example.com:8080', ['1.2.3.4']],
    ['secret=abc;for=1.2.3.4', ['1.2.3.4']],
    [';;for=1.2.3.4;;', ['1.2.3.4']],
    [' for=1.2.3.4 ; proto=http ,\tfor=5.6.7.8\t', ['5.6.7.8', '1.2.3.4']],
    ['forth=9.9.9.9;for=1.2.3.4', ['1.2.3.4']],
    ['for="::ffff:1.2.3.4", for="[::ffff:102:304]"', ['1.2.3.4', '1.2.3.4']],
    // Quoted strings: separators and quotes inside, escapes.
    ['host="a, for=9.9.9.9";for=1.2.3.4', ['1.2.3.4']],
    ['for=1.2.3.4;host="a;for=9.9.9.9"', ['1.2.3.4']],
    ['for=1.2.3.4;host="a\\", for=9.9.9.9"', ['1.2.3.4']],
    ['for=1.2.3.4;host="\\\\", for=5.6.7.8', ['5.6.7.8', '1.2.3.4']],
    ['for="1.2.\\3.4"', ['1.2.3.4']],
    ['for=1.2.3.4;host=""', ['1.2.3.4']],
    // Written without the quotes they need.
    ['for=[2001:db8::1]:80', ['2001:db8::1']],
    ['for=1.2.3.4:80', ['1.2.3.4']],
    // No address: none, unknown, two, malformed anywhere.
    ['', [NONE]],
    [',', [NONE, NONE]],
    ['for=1.2.3.4,', [NONE, '1.2.3.4']],
    ['by=1.2.3.4', [NONE]],
    ['1.2.3.4', [NONE]],
    ['for=', [NONE]],
    ['for=""', [NONE]],
    ['for', [NONE]],
    ['for=UNKNOWN', [NONE]],
    ['for=1.1.1.1;for=2.2.2.2', [NONE]],
    ['for=1.1.1.1;For="2.2.2.2"', [NONE]],
    ['for = 1.2.3.4', [NONE]],
    ['for=" 1.2.3.4"', [NONE]],
    ['for="1.2.3.4"x', [NONE]],
    ['for="1.2.3.4', [NONE]],
    ['for=1.2.3.4"', [NONE]],
    ['for=1.2.3.4 proto=http', [NONE]],
    ['for=1.2.3.4;=x', [NONE]],
    ['for="[fe80::1%eth0]"', [NONE]],
    ['for="fe80::1%25eth0"', [NONE]],
    ["for='1.2.3.4'", [NONE]],
  ])('%j has the hops %j, read from the right', (text, hops) => {
    expect([...forwarded(text)]).toEqual(hops)
  })

  it.each([
    'for="',
    'for=9.9.9.9;by="',
    '"',
    '\\',
    '"\\',
    'for="9.9.9.9\\',
    'for=9.9.9.9;host="x, y',
    ';"="',
  ])('that begins with %j from the client still has the entry of the proxy', (sent) => {
    for (const [own, hop] of [
      ['for=2.2.2.2', '2.2.2.2'],
      ['for="[2001:db8::1]";host="a\\"b,c"', '2001:db8::1'],
    ]) {
      expect([...forwarded(`${sent}, ${own}`)][0]).toBe(hop)
    }
  })

  it('read from the right gives the elements of reading it from the left', () => {
    const random = randomFor('Forwarded')
    for (let i = 0; i < 50_000; i++) {
      const elements = Array.from({ length: random.integer(1, 4) }, () => element())
      const hops = elements.map(([, hop]) => hop).reverse()
      const text = elements.map(([written]) => written).join(random.pick([',', ', ', ' ,\t']))
      if (JSON.stringify([...forwarded(text)]) !== JSON.stringify(hops)) {
        expect([...forwarded(text)], text).toEqual(hops)
      }
    }

    function element(): [text: string, hop: string | undefined] {
      const [node, hop] = random.pick([ipv4Node, ipv6Node, hiddenNode])()
      const pairs = [`${random.pick(['for', 'For', 'FOR'])}=${node}`]
      if (random.chance(0.5)) pairs.push(`proto=${random.pick(['http', 'https'])}`)
      if (random.chance(0.5))
        pairs.unshift(
          `host=${quoted(random.pick(['a,b', 'x;for=9.9.9.9', '\\', '"', '\\"', '",', 'é']))}`,
        )
      return [pairs.join(random.pick([';', '; ', ' ;'])), hop]
    }
    function ipv4Node(): [string, string | undefined] {
      const address = ipv4(random)
      return random.pick([
        [address, address],
        [`"${address}:${random.integer(1, 65_535)}"`, address],
      ])
    }
    function ipv6Node(): [string, string | undefined] {
      const address = ipv6(random)
      return [quoted(`[${address}]${random.pick(['', ':80', ':_x'])}`), oracle(address)]
    }
    function hiddenNode(): [string, undefined] {
      return [random.pick(['unknown', '_hidden', '"_x"', '"unknown"']), undefined]
    }
    function quoted(text: string): string {
      const escaped = [...text].map((letter) => {
        const needed = letter === '"' || letter === '\\'
        return needed || random.chance(0.1) ? `\\${letter}` : letter
      })
      return `"${escaped.join('')}"`
    }
  })

  it('is read from the right for 64 elements', () => {
    const hops = Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`)
    const text = hops.map((hop) => `for=${hop}`).join(', ')
    expect([...forwarded(text)]).toEqual(hops.toReversed().slice(0, 64))
  })

  it('gives its client also beside a host of the length that Node permits', () => {
    expect([...forwarded(`for=1.2.3.4;host=${'y'.repeat(16_000)}`)]).toEqual(['1.2.3.4'])
  })

  it('has no element that is the end of a longer text', () => {
    const longer = 'y'.repeat(16_384)
    expect([...forwarded(`${longer};for=1.2.3.4, for=5.6.7.8`)]).toEqual(['5.6.7.8', NONE])
    expect([...forwarded(`for="${longer};for=1.2.3.4", for=5.6.7.8`)]).toEqual(['5.6.7.8', NONE])
  })
})
