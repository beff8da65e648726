import { describe, expect, it } from 'vitest'
import { addressKey, canonical, readIpv6Prefix, socketAddress } from '../../ts/client-ip/ip.ts'
import { randomFor } from '../fixtures/random.ts'

/** Spelling and the key of its client; undefined for what is no address. */
const SPELLINGS: readonly (readonly [spelling: string, key: string | undefined])[] = [
  // IPv4: one spelling each.
  ['1.2.3.4', '1.2.3.4'],
  ['0.0.0.0', '0.0.0.0'],
  ['127.0.0.1', '127.0.0.1'],
  ['255.255.255.255', '255.255.255.255'],
  // H6: IPv4-mapped is IPv4, by value.
  ['::ffff:1.2.3.4', '1.2.3.4'],
  ['::FFFF:1.2.3.4', '1.2.3.4'],
  ['::ffff:102:304', '1.2.3.4'],
  ['::ffff:0102:0304', '1.2.3.4'],
  ['::FfFf:102:304', '1.2.3.4'],
  ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
  ['0:0:0:0:0:ffff:102:304', '1.2.3.4'],
  ['0000:0000:0000:0000:0000:ffff:0102:0304', '1.2.3.4'],
  ['0::ffff:1.2.3.4', '1.2.3.4'],
  ['::0:ffff:1.2.3.4', '1.2.3.4'],
  ['0:0::0:ffff:102:304', '1.2.3.4'],
  ['::ffff:0:0', '0.0.0.0'],
  ['::ffff:0:1', '0.0.0.1'],
  ['::ffff:255.255.255.255', '255.255.255.255'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  // H7: NAT64's well-known prefix is IPv4; its local-use prefix, IPv4-compatible, translated and 6to4 are not.
  ['64:ff9b::1.2.3.4', '1.2.3.4'],
  ['64:ff9b::102:304', '1.2.3.4'],
  ['0064:FF9B:0:0:0:0:0102:0304', '1.2.3.4'],
  ['64:ff9b:0::1.2.3.4', '1.2.3.4'],
  ['64:ff9b::', '0.0.0.0'],
  ['64:ff9b:1::1.2.3.4', '64:ff9b:1::/64'],
  ['64:ff9b::1:0:0', '64:ff9b::/64'],
  ['::1.2.3.4', '::/64'],
  ['::102:304', '::/64'],
  ['::', '::/64'],
  ['::1', '::/64'],
  ['0:0:0:0:0:0:0:1', '::/64'],
  ['::ffff', '::/64'],
  ['::ffff:102', '::/64'],
  ['::ffff:0:1.2.3.4', '::/64'],
  ['::fffe:1.2.3.4', '::/64'],
  ['::1:ffff:1.2.3.4', '::/64'],
  ['1::ffff:1.2.3.4', '1::/64'],
  ['2002:102:304::1', '2002:102:304::/64'],
  // Other IPv6 by /64.
  ['2001:db8::1', '2001:db8::/64'],
  ['2001:DB8::1', '2001:db8::/64'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::/64'],
  ['2001:db8:0:0:ffff:ffff:ffff:ffff', '2001:db8::/64'],
  ['2001:db8::1.2.3.4', '2001:db8::/64'],
  ['2001:db8:0:1::', '2001:db8:0:1::/64'],
  ['2001:db8:0:1:2:3:4:5', '2001:db8:0:1::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['0:0:0:1::', '0:0:0:1::/64'],
  ['1:0:0:2::3', '1:0:0:2::/64'],
  ['::1:2:3:4:5:6:7', '0:1:2:3::/64'],
  ['1:2:3:4:5:6:7::', '1:2:3:4::/64'],
  // H8: the zone is dropped.
  ['fe80::1%eth0', 'fe80::/64'],
  ['fe80::1%1', 'fe80::/64'],
  ['fe80::1%x.y-z:0', 'fe80::/64'],
  ['::ffff:1.2.3.4%eth0', '1.2.3.4'],
  ['64:ff9b::102:304%a', '1.2.3.4'],
  // H7: legacy spellings of IPv4 are none.
  ['127.1', undefined],
  ['2130706433', undefined],
  ['0x7f000001', undefined],
  ['0x7f.0.0.1', undefined],
  ['0x7f.1', undefined],
  ['0177.0.0.1', undefined],
  ['01.2.3.4', undefined],
  ['1.2.3.04', undefined],
  ['1.2.3', undefined],
  ['1.2.3.4.5', undefined],
  ['1.2.3.256', undefined],
  ['1.2.3.-4', undefined],
  ['1.2.3.4%eth0', undefined],
  ['::ffff:1.2.3', undefined],
  ['::ffff:01.2.3.4', undefined],
  ['::ffff:0x1.2.3.4', undefined],
  // No address, or one with something around it.
  ['', undefined],
  [' 1.2.3.4', undefined],
  ['1.2.3.4 ', undefined],
  ['1.2.3.4\n', undefined],
  ['1.2.3.4\0', undefined],
  ['1.2.3.4:80', undefined],
  ['1.2.3.4/32', undefined],
  ['[::1]', undefined],
  ['::1/128', undefined],
  [':::', undefined],
  ['1::2::3', undefined],
  ['1:2:3:4:5:6:7', undefined],
  ['1:2:3:4:5:6:7:8:9', undefined],
  ['12345::', undefined],
  ['g::', undefined],
  ['\uff11.2.3.4', undefined],
  ['1\u30022.3.4', undefined],
  ['localhost', undefined],
  ['unknown', undefined],
  ['__proto__', undefined],
]

function keyOf(text: string): string | undefined {
  const address = canonical(text)
  return address === undefined ? undefined : addressKey(address, 64)
}

describe('spellings of an address', () => {
  it.each(SPELLINGS)('%j has the key %s (H6, H7, H8)', (spelling, key) => {
    expect(keyOf(spelling)).toBe(key)
  })

  it('give the same key when they come from the socket', () => {
    for (const [spelling, key] of SPELLINGS) {
      if (key !== undefined) expect(addressKey(socketAddress(spelling), 64)).toBe(key)
    }
  })

  it('have one canonical text, that of RFC 5952', () => {
    const texts = ['2001:db8:0:0:1:0:0:1', '2001:0DB8::1:0:0:1', '2001:db8:0:0:1::1']
    expect(new Set(texts.map(canonical))).toEqual(new Set(['2001:db8::1:0:0:1']))
    expect(canonical('1:0:2:3:4:5:6:7')).toBe('1:0:2:3:4:5:6:7')
    expect(canonical('::1.2.3.4')).toBe('::102:304')
  })

  it('that are canonical are returned unchanged', () => {
    for (const [spelling] of SPELLINGS) {
      const once = canonical(spelling)
      if (once !== undefined) expect(canonical(once)).toBe(once)
    }
  })
})

describe('zones (H8)', () => {
  it('of 10,000 kinds give one key, from the socket or from a header', () => {
    const random = randomFor('zones')
    const keys = new Set<string | undefined>()
    const addresses = new Set<string | undefined>()
    for (let i = 0; i < 10_000; i++) {
      const zone = Array.from({ length: random.integer(1, 50) }, () =>
        random.pick([...'aZ09-.']),
      ).join('')
      keys.add(keyOf(`fe80::1%${zone}`))
      keys.add(addressKey(socketAddress(`fe80::1%${zone}`), 64))
      addresses.add(canonical(`fe80::1%${zone}`)).add(socketAddress(`fe80::1%${zone}`))
    }
    expect([...keys]).toEqual(['fe80::/64'])
    expect([...addresses]).toEqual(['fe80::1'])
  })

  it('of a megabyte are invalid in a header, and ignored in the address of a socket', () => {
    const text = `fe80::1%${'z'.repeat(1 << 20)}`
    expect(canonical(text)).toBeUndefined()
    expect(socketAddress(text)).toBe('fe80::1')
    expect(socketAddress(`::ffff:1.2.3.4%${'z'.repeat(1 << 20)}`)).toBe('1.2.3.4')
  })

  it('are read up to 64 characters', () => {
    expect(canonical(`fe80::1%${'z'.repeat(56)}`)).toBe('fe80::1')
    expect(canonical(`fe80::1%${'z'.repeat(57)}`)).toBeUndefined()
  })
})

describe('the key of an IPv6 address', () => {
  it('is the same for 1,000 addresses of a /64, and differs between two /64s (H5)', () => {
    const random = randomFor('a /64')
    const group = (): string => random.integer(0, 0xffff).toString(16)
    const keys = (network: string): Set<string | undefined> =>
      new Set(
        Array.from({ length: 1_000 }, () =>
          keyOf([network, group(), group(), group(), group()].join(':')),
        ),
      )
    expect([...keys('2001:db8:0:7')]).toEqual(['2001:db8:0:7::/64'])
    expect([...keys('2001:db8:0:8')]).toEqual(['2001:db8:0:8::/64'])
  })

  it.each([
    [32, '2001:db8::/32'],
    [33, '2001:db8:8000::/33'],
    [47, '2001:db8:fffe::/47'],
    [48, '2001:db8:ffff::/48'],
    [56, '2001:db8:ffff:ab00::/56'],
    [64, '2001:db8:ffff:abcd::/64'],
    [127, '2001:db8:ffff:abcd:1:2:3:4/127'],
    [128, '2001:db8:ffff:abcd:1:2:3:5/128'],
  ])('is masked to the prefix length %i: %s', (prefix, key) => {
    expect(addressKey('2001:db8:ffff:abcd:1:2:3:5', prefix)).toBe(key)
  })

  it('masks IPv6 to 64 bits by default, and never masks IPv4', () => {
    expect(addressKey('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
    expect(addressKey('1.2.3.4', 32)).toBe('1.2.3.4')
  })

  it.each([31, 129, 0, -64, 64.5, Number.NaN, Infinity])(
    'cannot have a prefix length of %s',
    (prefix) => {
      expect(() => readIpv6Prefix(prefix, 'ipv6Prefix')).toThrow(RangeError)
      expect(() => readIpv6Prefix(prefix, 'ipv6Prefix')).toThrow(
        /^ipv6Prefix must be an integer from 32 to 128, got /,
      )
    },
  )

  it.each(['64', null, undefined, 64n, {}, [64]])(
    'cannot have a prefix length of another type: %s',
    (prefix) => {
      expect(() => readIpv6Prefix(prefix, 'ipv6Prefix')).toThrow(TypeError)
    },
  )
})

describe('the address of a socket', () => {
  it('is used without validation', () => {
    expect(socketAddress('1.2.3.4')).toBe('1.2.3.4')
    expect(socketAddress('::ffff:1.2.3.4')).toBe('1.2.3.4')
    expect(socketAddress('')).toBe('')
    expect(socketAddress('no address: at all')).toBe('no address: at all')
  })

  it('is mapped to IPv4 by value, not by its first characters', () => {
    expect(socketAddress('::ffff:0:1.2.3.4')).toBe('::ffff:0:102:304')
    expect(socketAddress('::ffff:102')).toBe('::ffff:102')
    expect(socketAddress('::ffff:102:304')).toBe('1.2.3.4')
  })
})
