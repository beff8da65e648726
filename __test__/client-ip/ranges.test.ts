import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { AddressRanges, readRanges } from '../../ts/client-ip/cidr.ts'
import { canonical, groupsOf } from '../../ts/client-ip/ip.ts'
import { type Random, randomFor } from '../fixtures/random.ts'
import { ipv4, ipv6, spelling } from './generate.ts'

function has(list: readonly string[], text: string): boolean {
  return new AddressRanges(list).has(canonical(text) ?? '')
}

describe('a list of ranges', () => {
  it('contains every spelling of an address, and no other address of its /64 (H12)', () => {
    const random = randomFor('spellings in a list')
    const groups = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]
    for (let i = 0; i < 1_000; i++) {
      const listed = new AddressRanges([spelling(groups, random)])
      expect(listed.has(canonical(spelling(groups, random)) ?? '')).toBe(true)
      expect(listed.has(canonical(spelling([...groups.slice(0, 7), 2], random)) ?? '')).toBe(false)
    }
  })

  it.each([
    '1.2.3.4',
    '::ffff:1.2.3.4',
    '::FFFF:102:304',
    '64:ff9b::102:304',
    '::ffff:1.2.3.4/128',
    '1.2.3.4/32',
  ])('with %s contains 1.2.3.4 in every spelling (H12)', (listed) => {
    for (const text of [
      '1.2.3.4',
      '::ffff:1.2.3.4',
      '0:0::ffff:102:304',
      '64:ff9b::1.2.3.4',
      '::ffff:1.2.3.4%x',
    ]) {
      expect(has([listed], text)).toBe(true)
    }
    for (const text of ['1.2.3.5', '::ffff:1.2.3.5', '::1.2.3.4', '64:ff9b:1::1.2.3.4']) {
      expect(has([listed], text)).toBe(false)
    }
  })

  it.each([
    [
      '10.0.0.0/8',
      ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'],
      ['9.255.255.255', '11.0.0.0', '::10.1.2.3'],
    ],
    ['10.1.2.3/8', ['10.0.0.0', '10.255.255.255'], ['11.1.2.3']],
    ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127', '192.0.3.128']],
    ['192.0.2.1/31', ['192.0.2.0', '192.0.2.1'], ['192.0.2.2']],
    ['::ffff:10.0.0.0/104', ['10.255.0.1', '::ffff:10.0.0.1'], ['11.0.0.0', '::1']],
    ['64:ff9b::a00:0/104', ['10.255.0.1', '64:ff9b::a00:1'], ['11.0.0.0']],
    ['2001:db8::/33', ['2001:db8:7fff::'], ['2001:db8:8000::', '2001:db7::']],
    ['2001:db8::1/127', ['2001:db8::', '2001:DB8:0::1'], ['2001:db8::2']],
    ['fe80::/10', ['fe80::1%eth0', 'febf::'], ['fec0::']],
    // Prefixes that hold the IPv4-mapped ones as numbers hold no IPv4.
    ['::/64', ['::1', '::1.2.3.4'], ['1.2.3.4', '::ffff:1.2.3.4', '0.0.0.1']],
    ['::/0', ['2001:db8::1', '::'], ['1.2.3.4', '::ffff:1.2.3.4', '64:ff9b::1.2.3.4']],
    ['0.0.0.0/0', ['1.2.3.4', '::ffff:1.2.3.4', '64:ff9b::1.2.3.4'], ['2001:db8::1', '::1.2.3.4']],
    [
      'loopback',
      ['127.0.0.1', '127.255.0.1', '::1', '::ffff:127.0.0.1'],
      ['128.0.0.1', '::2', '::'],
    ],
    ['linklocal', ['169.254.1.1', 'fe80::1', 'febf::1'], ['169.253.0.0', 'fec0::']],
    [
      'uniquelocal',
      ['10.1.1.1', '172.16.0.0', '172.31.255.255', '192.168.0.1', 'fdff::1'],
      ['172.32.0.0', 'fe00::'],
    ],
  ])('with %s contains %j and not %j', (range, inside, outside) => {
    for (const text of inside) expect(has([range], text), text).toBe(true)
    for (const text of outside) expect(has([range], text), text).toBe(false)
  })

  it('agrees with ipaddr.js', () => {
    const random = randomFor('ranges against the oracle')
    let inside = 0
    for (let i = 0; i < 300; i++) {
      const list = Array.from({ length: random.integer(1, 4) }, () => rangeLike(random))
      const ranges = new AddressRanges(list)
      for (let j = 0; j < 100; j++) {
        const address = nearby(random, list)
        const expected = list.some((range) => matches(address, range))
        if (ranges.has(address) !== expected)
          expect(ranges.has(address), `${address} in ${list}`).toBe(expected)
        if (expected) inside++
      }
    }
    expect(inside).toBeGreaterThan(3_000)
  })

  it('caches correct answers, in a cache of bounded size', () => {
    const ranges = new AddressRanges(['10.0.0.0/9'])
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 5_000; i++) {
        expect(ranges.has(`10.${i % 256}.0.${i >> 8}`)).toBe(i % 256 < 128)
      }
    }
  })

  it('contains no text that is not an address; an empty list contains nothing', () => {
    const ranges = readRanges(['0.0.0.0/0', '::/0'], 'allow')
    for (const text of ['', 'x', '1.2.3', '::1::', '1'.repeat(1 << 20), '__proto__']) {
      expect(ranges.has(text)).toBe(false)
    }
    expect(readRanges([], 'allow').has('1.2.3.4')).toBe(false)
    expect(readRanges('10.0.0.1', 'allow').has('10.0.0.1')).toBe(true)
  })
})

function rangeLike(random: Random): string {
  const isIPv4 = random.chance(0.5)
  const address = canonical(isIPv4 ? ipv4(random) : ipv6(random)) ?? ''
  return `${address}/${random.integer(1, address.includes(':') ? 128 : 32)}`
}

/** An address with some of its last bits changed from one in the list. */
function nearby(random: Random, list: readonly string[]): string {
  const [base = ''] = random.pick(list).split('/')
  const bytes = ipaddr.parse(base).toByteArray()
  const from = random.integer(0, bytes.length)
  const changed = bytes.map((byte, i) => (i < from ? byte : byte ^ random.integer(0, 255)))
  return canonical(ipaddr.fromByteArray(changed).toNormalizedString()) ?? ''
}

function matches(address: string, range: string): boolean {
  const [network, prefix] = ipaddr.parseCIDR(range)
  const parsed = ipaddr.parse(address)
  return parsed.kind() === network.kind() && parsed.match(network, prefix)
}

describe('an invalid list', () => {
  it.each([
    '',
    ' ',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8 ',
    '10.0.0.0/8/8',
    '10.0.0.0/8.0',
    '10.0.0.0/255.0.0.0',
    '10.0.0.0/+8',
    '10.0.0.0/1e1',
    '10.0.0.0/0x8',
    '/8',
    '::/129',
    '::/',
    '::ffff:0:0/95',
    '::ffff:1.2.3.4/24',
    '64:ff9b::/95',
    '010.0.0.0/8',
    '0xa.0.0.0/8',
    '167772160/8',
    '10/8',
    '10.0.0',
    'fe80::1%eth0',
    'fe80::%eth0/10',
    '[::1]',
    '1.2.3.4:80',
    'localhost',
    'Loopback',
    'loopback,linklocal',
    '10.0.0.1, 10.0.0.2',
    '*',
    'unix',
    '__proto__',
    'constructor',
    'toString',
    'x'.repeat(1 << 20),
  ])('throws for %j', (text) => {
    expect(() => readRanges([text], 'allow')).toThrow(RangeError)
    expect(() => readRanges(['::1', text], 'allow')).toThrow(
      /^allow\[1\] must be an IP address, a CIDR range such as "10.0.0.0\/8", "loopback", "linklocal" or "uniquelocal", got "/,
    )
  })

  it.each([undefined, null, true, 8, 8n, {}, new Set(['::1']), () => '::1', Symbol('::1')])(
    'is not %s',
    (value) => {
      expect(() => readRanges(value, 'allow')).toThrow(TypeError)
      expect(() => readRanges(value, 'allow')).toThrow(
        /^allow must be a string or an array of strings, got /,
      )
      expect(() => readRanges(['::1', value], 'allow')).toThrow(
        /^allow\[1\] must be a string, got /,
      )
    },
  )

  it('is read once: later changes of the array have no effect', () => {
    const list = ['10.0.0.1']
    const ranges = readRanges(list, 'allow')
    list[0] = '10.0.0.2'
    list.push('10.0.0.3')
    expect(['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((text) => ranges.has(text))).toEqual([
      true,
      false,
      false,
    ])
  })

  it('has the groups of bits that its text means', () => {
    expect(groupsOf('2001:db8::1.2.3.4')).toEqual([0x2001, 0xdb8, 0, 0, 0, 0, 0x102, 0x304])
  })
})
