import { describe, expect, it } from 'vitest'
import { readTrust, TRUST_EVERYBODY } from '../../ts/client-ip/trust-proxy.ts'

describe('a trust setting that covers all clients', () => {
  it.each([
    true,
    '*',
    ['*'],
    ['loopback', '*'],
    '0.0.0.0/0',
    '::/0',
    '1.2.3.4/0',
    ['loopback', '::/0'],
    '::ffff:0:0/96',
    '64:ff9b::/96',
    ['0.0.0.0/1', '128.0.0.0/1'],
    ['128.0.0.0/1', '10.0.0.0/8', '64.0.0.0/2', '0.0.0.0/2'],
    ['::/1', '8000::/1'],
    '2000::/3',
    ['2000::/4', '3000::/4'],
  ])('is refused: %j', (proxies) => {
    for (const value of [proxies, { proxies }, { proxies, hops: 1 }]) {
      expect(() => readTrust(value, 'trustProxy')).toThrow(
        /^trustProxy(\.proxies)?: .* would accept X-Forwarded-For from any client\. /,
      )
      expect(() => readTrust(value, 'trustProxy')).toThrow(
        /List your proxies; .* TRUST_EVERYBODY \("everybody-even-if-forged"\)/,
      )
    }
  })

  it.each([
    ['0.0.0.0/1', '192.0.0.0/2'],
    ['uniquelocal', 'loopback', 'linklocal'],
    '2001::/16',
    '1.0.0.0/8',
  ])('does not include the ranges %j', (...proxies) => {
    expect(() => readTrust(proxies.flat(), 'trustProxy')).not.toThrow()
  })
})

describe('the trust option', () => {
  it.each([0, 1, 2, -1, Number.NaN, 1.5])(
    'throws for the number %s, and says what is accepted',
    (value) => {
      expect(() => readTrust(value, 'trustProxy')).toThrow(TypeError)
      expect(() => readTrust(value, 'trustProxy')).toThrow(
        /a count alone would trust any client that connects.*\{ proxies, hops \}/,
      )
    },
  )

  it.each([undefined, null, false, 1n, Symbol('x'), () => true])('throws for %s', (value) => {
    expect(() => readTrust(value, 'trustProxy')).toThrow(TypeError)
    expect(() => readTrust(value, 'trustProxy')).toThrow(/^trustProxy must be the proxies to trust/)
  })

  it.each([
    [
      '10.0.0.0/33',
      RangeError,
      /^trustProxy\[0\] must be an IP address.*"uniquelocal" or "unix", got "10.0.0.0\/33"$/,
    ],
    [['loopback', 'localhost'], RangeError, /^trustProxy\[1\] must be .*, got "localhost"$/],
    [['loopback', 1], TypeError, /^trustProxy\[1\] must be a string, got 1$/],
    [[['loopback']], TypeError, /^trustProxy\[0\] must be a string, got \[array\]$/],
    ['loopback, linklocal', RangeError, /^trustProxy\[0\]/],
    [[TRUST_EVERYBODY], RangeError, /^trustProxy\[0\]/],
    [{}, TypeError, /^trustProxy.proxies must be a string or an array of strings, got undefined$/],
    [{ hops: 1 }, TypeError, /^trustProxy.proxies must be/],
    [{ proxies: 1 }, TypeError, /^trustProxy.proxies must be/],
    [{ proxies: ['::1', 'x'] }, RangeError, /^trustProxy.proxies\[1\] must be/],
    [{ proxies: '::1', header: '' }, RangeError, /^trustProxy.header must be the name of a header/],
    [{ proxies: '::1', header: 'x forwarded for' }, RangeError, /^trustProxy.header/],
    [{ proxies: '::1', header: 'x-forwarded-for\n' }, RangeError, /^trustProxy.header/],
    [{ proxies: '::1', header: 'x'.repeat(65) }, RangeError, /^trustProxy.header/],
    [{ proxies: '::1', header: ['x-a'] }, TypeError, /^trustProxy.header/],
    [{ proxies: '::1', header: null }, TypeError, /^trustProxy.header/],
    [
      { proxies: '::1', hops: 0 },
      RangeError,
      /^trustProxy.hops must be an integer from 1 to 64, got 0$/,
    ],
    [{ proxies: '::1', hops: 65 }, RangeError, /^trustProxy.hops/],
    [{ proxies: '::1', hops: 1.5 }, RangeError, /^trustProxy.hops/],
    [{ proxies: '::1', hops: '1' }, TypeError, /^trustProxy.hops/],
    [
      { proxies: '::1', hop: 1 },
      TypeError,
      /unknown option "hop"; known are proxies, header, hops/,
    ],
    [Object.create({ proxies: '::1' }), TypeError, /^trustProxy.proxies must be/],
  ])('throws for %j', (value, type, message) => {
    expect(() => readTrust(value, 'trustProxy')).toThrow(type)
    expect(() => readTrust(value, 'trustProxy')).toThrow(message)
  })

  it('may be an empty list', () => {
    const trust = readTrust([], 'trustProxy')
    expect(trust.resolve('127.0.0.1', { 'x-forwarded-for': '9.9.9.9' })).toBe('127.0.0.1')
  })
})
