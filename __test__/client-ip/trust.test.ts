import { describe, expect, it } from 'vitest'
import {
  clientOf,
  readTrust,
  TRUST_EVERYBODY,
  type TrustInput,
} from '../../ts/client-ip/trust-proxy.ts'

type Headers = Record<string, string | string[] | undefined>

function resolve(
  trust: TrustInput,
  peer: string | undefined,
  headers: Headers,
): string | undefined {
  return readTrust(trust, 'trustProxy').resolve(peer, headers)
}

/** Where the header is X-Forwarded-For. */
function behind(
  trust: TrustInput,
  peer: string | undefined,
  xff: string | string[],
): string | undefined {
  return resolve(trust, peer, { 'x-forwarded-for': xff })
}

describe('without a trusted proxy', () => {
  it('the client is the peer of the socket; without a peer there is no client', () => {
    expect(resolve('loopback', '203.0.113.7', {})).toBe('203.0.113.7')
    expect(resolve('loopback', '127.0.0.1', {})).toBe('127.0.0.1')
    expect(resolve('loopback', '::ffff:203.0.113.7', {})).toBe('203.0.113.7')
    expect(resolve('loopback', 'fe80::1%eth0', {})).toBe('fe80::1')
    expect(resolve('loopback', undefined, { 'x-forwarded-for': '1.2.3.4' })).toBeUndefined()
  })

  it('headers of a peer that is not a trusted proxy have no effect (H1)', () => {
    const forged = {
      'x-forwarded-for': '1.2.3.4',
      'x-real-ip': '1.2.3.4',
      forwarded: 'for=1.2.3.4',
      'cf-connecting-ip': '1.2.3.4',
    }
    for (const header of [undefined, ...Object.keys(forged)]) {
      for (const hops of [undefined, 1, 64]) {
        expect(
          resolve({ proxies: ['10.0.0.0/8', 'unix'], header, hops }, '203.0.113.7', forged),
        ).toBe('203.0.113.7')
      }
    }
  })

  it('1,000 forged entries are one client under every setting except TRUST_EVERYBODY (H1, H2)', () => {
    const settings: TrustInput[] = [
      'loopback',
      ['uniquelocal', '10.0.0.1'],
      { proxies: 'loopback', hops: 1 },
      [],
    ]
    for (const setting of settings) {
      const trust = readTrust(setting, 'trustProxy')
      const clients = new Set<string | undefined>()
      for (let i = 0; i < 1_000; i++) {
        const entry = `198.51.${i >> 8}.${i & 255}`
        // From the attacker itself, and through a proxy that appends what it saw.
        clients.add(trust.resolve('203.0.113.7', { 'x-forwarded-for': entry }))
        if (setting !== settings[3]) {
          clients.add(
            trust.resolve(setting === settings[1] ? '10.0.0.1' : '127.0.0.1', {
              'x-forwarded-for': `${entry}, 203.0.113.7`,
            }),
          )
        }
      }
      expect([...clients]).toEqual(['203.0.113.7'])
    }
  })
})

describe('behind proxies', () => {
  it('the client is the first hop from the right that is not a trusted proxy', () => {
    const two = ['10.0.0.1', '10.0.0.2']
    expect(behind(two, '10.0.0.2', '10.0.0.1, 203.0.113.1, 10.0.0.2')).toBe('203.0.113.1')
    expect(behind(two, '10.0.0.1', '203.0.113.1')).toBe('203.0.113.1')
    expect(behind(two, '10.0.0.1', '9.9.9.9, 203.0.113.1')).toBe('203.0.113.1')
    expect(behind(two, '10.0.0.1', '9.9.9.9, 203.0.113.1, 10.0.0.2')).toBe('203.0.113.1')
    expect(behind(two, '10.0.0.1', '10.0.0.2, 10.0.0.1')).toBe('10.0.0.2')
  })

  it('a forged hop in the range of the proxies stands left of the client and is not read', () => {
    expect(behind('10.0.0.0/8', '10.0.0.1', '10.6.6.6, 203.0.113.1, 10.0.0.2')).toBe('203.0.113.1')
  })

  it('a proxy is recognized in every spelling of its address (H6)', () => {
    for (const peer of ['10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1']) {
      expect(behind('10.0.0.1', peer, '203.0.113.1, ::ffff:10.0.0.1')).toBe('203.0.113.1')
      expect(behind('::ffff:10.0.0.1', peer, '203.0.113.1')).toBe('203.0.113.1')
    }
    expect(behind('fe80::/10', 'fe80::1%eth0', '203.0.113.1')).toBe('203.0.113.1')
  })

  it.each([
    'garbage0',
    '',
    'unknown',
    '_hidden',
    '203.0.113.1:x',
    'fe80::1%eth0',
    '127.1',
    '"203.0.113.1"',
  ])('an entry like %j ends the search: its proxy is the client (H3, H8)', (entry) => {
    expect(behind('10.0.0.0/8', '10.0.0.1', entry)).toBe('10.0.0.1')
    expect(behind('10.0.0.0/8', '10.0.0.1', `9.9.9.9, ${entry}, 10.0.0.2`)).toBe('10.0.0.2')
    expect(behind('10.0.0.0/8', '10.0.0.1', `${entry}, 203.0.113.1, 10.0.0.2`)).toBe('203.0.113.1')
  })

  it('an address with a port, in brackets or in another spelling is one client (H3, H6)', () => {
    for (const entry of [
      '203.0.113.1',
      '203.0.113.1:1000',
      '203.0.113.1:1001',
      '::ffff:203.0.113.1',
      '[::ffff:cb00:7101]:80',
    ]) {
      expect(behind('loopback', '::1', entry)).toBe('203.0.113.1')
    }
  })

  it('several header lines are one list, whether Node joined them or not (H4)', () => {
    expect(behind('10.0.0.0/8', '10.0.0.1', ['9.9.9.9', '203.0.113.1, 10.0.0.3', '10.0.0.2'])).toBe(
      '203.0.113.1',
    )
    expect(behind('10.0.0.0/8', '10.0.0.1', '9.9.9.9, 203.0.113.1, 10.0.0.3, 10.0.0.2')).toBe(
      '203.0.113.1',
    )
    expect(behind('10.0.0.0/8', '10.0.0.1', ['9.9.9.9', ''])).toBe('10.0.0.1')
    expect(behind('10.0.0.0/8', '10.0.0.1', [])).toBe('10.0.0.1')
    const trust = { proxies: '10.0.0.0/8', header: 'forwarded' }
    const lines = ['for=9.9.9.9', 'For="203.0.113.1:80";proto=http', 'for=10.0.0.2']
    expect(resolve(trust, '10.0.0.1', { forwarded: lines })).toBe('203.0.113.1')
    expect(resolve(trust, '10.0.0.1', { forwarded: lines.join(', ') })).toBe('203.0.113.1')
  })

  it('only the header that is named is read (H4)', () => {
    const headers = {
      'x-forwarded-for': '1.1.1.1',
      forwarded: 'for=2.2.2.2',
      'cf-connecting-ip': '3.3.3.3',
      'x-list': '9.9.9.9, 4.4.4.4',
    }
    const named = (header?: string): string | undefined =>
      resolve({ proxies: 'loopback', header }, '127.0.0.1', headers)
    expect(named()).toBe('1.1.1.1')
    expect(named('X-Forwarded-For')).toBe('1.1.1.1')
    expect(named('Forwarded')).toBe('2.2.2.2')
    expect(named('CF-Connecting-IP')).toBe('3.3.3.3')
    expect(named('x-list')).toBe('4.4.4.4')
    expect(named('x-real-ip')).toBe('127.0.0.1')
  })

  it('an obfuscated client of Forwarded counts as its proxy (H4)', () => {
    const trust = { proxies: '10.0.0.0/8', header: 'forwarded' }
    for (const node of ['_hidden', 'unknown', '"_x:_y"', '"[fe80::1%1]"']) {
      expect(
        resolve(trust, '10.0.0.1', { forwarded: `for=9.9.9.9, for=${node}, for=10.0.0.2` }),
      ).toBe('10.0.0.2')
    }
  })

  it('inherited properties of the headers object are not headers', () => {
    const headers = Object.create({ 'x-forwarded-for': '9.9.9.9' }) as Headers
    expect(resolve('loopback', '127.0.0.1', headers)).toBe('127.0.0.1')
    for (const header of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(resolve({ proxies: 'loopback', header }, '127.0.0.1', {})).toBe('127.0.0.1')
    }
    expect(resolve('loopback', '127.0.0.1', { 'x-forwarded-for': undefined })).toBe('127.0.0.1')
  })
})

describe('a number of hops', () => {
  it('is the largest number of consecutive proxies that are trusted (H2)', () => {
    const after = (hops: number): string | undefined =>
      behind({ proxies: '10.0.0.0/8', hops }, '10.0.0.1', '203.0.113.1, 10.0.0.3, 10.0.0.2')
    expect([1, 2, 3, 4, 64].map(after)).toEqual([
      '10.0.0.2',
      '10.0.0.3',
      '203.0.113.1',
      '203.0.113.1',
      '203.0.113.1',
    ])
  })

  it('does not make a peer or a next hop a trusted proxy (H2)', () => {
    expect(behind({ proxies: '10.0.0.0/8', hops: 2 }, '203.0.113.7', '9.9.9.9')).toBe('203.0.113.7')
    expect(behind({ proxies: '10.0.0.0/8', hops: 2 }, '10.0.0.1', '9.9.9.9, 203.0.113.7')).toBe(
      '203.0.113.7',
    )
  })
})

describe('a Unix-domain socket', () => {
  it('is a trusted proxy if it is named', () => {
    const trust = readTrust(['unix', '10.0.0.0/8'], 'trustProxy')
    expect(trust.trustsUnix).toBe(true)
    expect(trust.resolve(undefined, { 'x-forwarded-for': '9.9.9.9, 203.0.113.1, 10.0.0.2' })).toBe(
      '203.0.113.1',
    )
    expect(trust.resolve(undefined, { 'x-forwarded-for': '203.0.113.1, unix:' })).toBeUndefined()
    expect(trust.resolve(undefined, {})).toBeUndefined()
    expect(trust.resolve('203.0.113.7', { 'x-forwarded-for': '9.9.9.9' })).toBe('203.0.113.7')
    expect(
      readTrust({ proxies: 'unix', hops: 1 }, 'x').resolve(undefined, {
        'x-forwarded-for': '9.9.9.9, 10.0.0.2',
      }),
    ).toBe('10.0.0.2')
  })

  it('is no trusted proxy if it is not named', () => {
    expect(readTrust('loopback', 'trustProxy').trustsUnix).toBe(false)
  })
})

describe('TRUST_EVERYBODY', () => {
  it('accepts the header from any client: the leftmost address counts', () => {
    const xff = 'x, 9.9.9.9, garbage, 203.0.113.1'
    expect(behind(TRUST_EVERYBODY, '203.0.113.7', xff)).toBe('9.9.9.9')
    expect(behind({ proxies: TRUST_EVERYBODY, hops: 1 }, '203.0.113.7', xff)).toBe('203.0.113.1')
    expect(behind(TRUST_EVERYBODY, '203.0.113.7', 'x, y')).toBe('203.0.113.7')
    expect(behind(TRUST_EVERYBODY, '203.0.113.7', [])).toBe('203.0.113.7')
    expect(resolve(TRUST_EVERYBODY, '::ffff:203.0.113.7', {})).toBe('203.0.113.7')
    expect(
      resolve({ proxies: TRUST_EVERYBODY, header: 'forwarded' }, '::1', {
        forwarded: 'for=9.9.9.9, for=_x',
      }),
    ).toBe('9.9.9.9')
    expect(readTrust(TRUST_EVERYBODY, 'x').trustsUnix).toBe(true)
    expect(behind(TRUST_EVERYBODY, undefined, '9.9.9.9')).toBe('9.9.9.9')
  })
})

describe("the client of a framework's chain", () => {
  it.each([
    [['203.0.113.7'], '203.0.113.7'],
    [['::ffff:127.0.0.1', '203.0.113.7'], '203.0.113.7'],
    [['fe80::1%eth0', '[2001:DB8::1]:80'], '2001:db8::1'],
    [['127.0.0.1', 'garbage', '9.9.9.9'], '127.0.0.1'],
    [['127.0.0.1', '10.0.0.1', ''], '10.0.0.1'],
    [['127.0.0.1', 'fe80::1%eth0'], '127.0.0.1'],
    [['127.0.0.1', '203.0.113.7:1000'], '203.0.113.7'],
    [['', '9.9.9.9'], undefined],
    [['garbage', '9.9.9.9'], undefined],
    [[], undefined],
  ])('%j is %s (H3)', (chain, client) => {
    expect(clientOf(chain)).toBe(client)
  })

  it('is read among the first 64 entries of the chain', () => {
    const chain = Array.from({ length: 1_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`)
    expect(clientOf(chain)).toBe('10.0.0.63')
  })
})
