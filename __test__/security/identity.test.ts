import type { IncomingMessage } from 'node:http'
import { byHeader, byIp, byUser } from 'ratethrottle/express'
import { describe, expect, it } from 'vitest'
import { admitted, ask, repeat, statuses } from '../http/client.ts'
import { FRAMEWORKS, type Options, serve } from '../http/serve.ts'

const BEHIND = { trust: 'loopback', limits: '5/day' } as const
const from = (address: string) => ({ headers: { 'x-forwarded-for': address } })
const network = (group: number, host: number): string => `2001:db8:1:${group.toString(16)}::${host}`

describe.each(FRAMEWORKS)('%s', (name) => {
  it('1,000 addresses of one /64 are one client, those of two /64s are two (H5)', async () => {
    const { port } = await serve(name, BEHIND)
    expect(
      await admitted(
        port,
        repeat(500, (i) => from(network(1, i))),
      ),
    ).toBe(5)
    expect(
      await admitted(
        port,
        repeat(500, (i) => from(network(1 + (i % 2), 500 + i))),
      ),
    ).toBe(5)
  })

  it('a wider network may have a second limit beside that (H5)', async () => {
    const beside = { ...BEHIND, limits: '20/day', key: byIp({ ipv6: 48 }) }
    const { port } = await serve(name, BEHIND, { beside })
    expect(
      await admitted(
        port,
        repeat(100, (i) => from(network(i, 1))),
      ),
    ).toBe(20)
    // What the wider one refused was not charged to the narrow one.
    const { headers } = await ask(port, from(network(50, 1)))
    expect(headers['x-ratelimit-limit']).toBe('20')
  })

  it('an entry with a zone in a forwarded header is invalid, so the proxy is the client (H8)', async () => {
    const { port } = await serve(name, BEHIND)
    expect(
      await admitted(
        port,
        repeat(100, (i) => from(`fe80::1%eth${i}`)),
      ),
    ).toBe(5)
    expect(
      await admitted(
        port,
        repeat(100, (i) => from(`fe80::1%${'z'.repeat(i * 100)}`)),
      ),
    ).toBe(0)
  })

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['an empty text', ''],
    ['a promise of nothing', Promise.resolve(undefined)],
  ])(
    'a request without a key (%s) is refused, or counted in a shared bucket, or by its address (H9)',
    async (_, key) => {
      const serveWith = (options: Options) =>
        serve(name, { limits: '2/day', key: () => key, ...options }, { host: '0.0.0.0' })
      const denying = await serveWith({})
      expect(await statuses(denying.port, 3)).toEqual([400, 400, 400])
      expect(denying.runs()).toBe(0)
      const sharing = await serveWith({ missingKey: 'shared' })
      expect(await statuses(sharing.port, 2, { from: '127.0.0.2' })).toEqual([200, 200])
      expect(await statuses(sharing.port, 1, { from: '127.0.0.3' })).toEqual([429])
      const byAddress = await serveWith({ missingKey: 'ip' })
      for (const from of ['127.0.0.2', '127.0.0.3']) {
        expect(await statuses(byAddress.port, 3, { from })).toEqual([200, 200, 429])
      }
    },
  )

  it('"undefined" and "null" are ordinary keys (H9)', async () => {
    const { port } = await serve(name, { limits: '1/day', key: byHeader('x-api-key') })
    expect(await statuses(port, 2)).toEqual([400, 400])
    for (const key of ['undefined', 'null', 'shared']) {
      expect(await statuses(port, 2, { headers: { 'x-api-key': key } })).toEqual([200, 429])
    }
  })

  it('an invalid key is an error passed to onError, and the request counts by address: two objects are not one caller (H10)', async () => {
    const bad = [
      { a: 1 },
      { b: 2 },
      ['a'],
      true,
      1.5,
      Number.NaN,
      1n,
      Symbol('s'),
      () => 'k',
      2 ** 53,
    ]
    for (const value of [...bad, new Date(0), Buffer.from('k')]) {
      const errors: unknown[] = []
      const onError = ({ error }: { error: unknown }): number => errors.push(error)
      const { port } = await serve(name, { limits: '2/day', key: () => value, onError })
      expect(await statuses(port, 3), String(value)).toEqual([200, 200, 429])
      expect(errors).toHaveLength(3)
      expect(errors[0]).toBeInstanceOf(TypeError)
      const strict = await serve(name, {
        limits: '2/day',
        key: () => value,
        onKeyError: 'deny',
        onError,
      })
      expect(await statuses(strict.port, 2)).toEqual([500, 500])
      expect(strict.runs()).toBe(0)
    }
  })

  it('1 and "1" are the same caller (H10)', async () => {
    let asked = 0
    const { port } = await serve(name, {
      limits: '2/day',
      key: () => (asked++ % 2 === 0 ? 1 : '1'),
    })
    expect(await statuses(port, 3)).toEqual([200, 200, 429])
  })

  it('100 spellings of one account are one caller with the normalize option (H11)', async () => {
    const spellings = repeat(100, (i) => {
      const text = [...'ada@example.test']
        .map((c, at) => ((i >> (at % 7)) & 1 ? c.toUpperCase() : c))
        .join('')
      return `${' '.repeat(i % 3)}${text}${' '.repeat(i % 2)}`
    })
    // Full-width letters, as an input method writes them; in a header only as they are percent-encoded.
    spellings.push('ａda@example.test', 'ADA＠example.test')
    const key = byUser(
      ({ headers }: IncomingMessage) => decodeURIComponent(String(headers['x-account'])),
      { normalize: 'nfkc-lower' },
    )
    const { port } = await serve(name, { limits: '5/day', key })
    const questions = spellings.map((text) => ({
      headers: { 'x-account': encodeURIComponent(text) },
    }))
    expect(await admitted(port, questions)).toBe(5)
  })

  it('with limits by account and by address neither many addresses nor many accounts raise the total (H11)', async () => {
    const account = byUser(({ headers }: IncomingMessage) => String(headers['x-account']))
    const byAddress = { limits: '10/day', trust: 'loopback' } as const
    const beside = { limits: '3/day', key: account }
    const { port } = await serve(name, byAddress, { beside })
    const login = (user: string, ip: string) => ({
      headers: { 'x-account': user, 'x-forwarded-for': ip },
    })
    expect(
      await admitted(
        port,
        repeat(40, (i) => login('ada', `198.51.100.${i}`)),
      ),
    ).toBe(3)
    expect(
      await admitted(
        port,
        repeat(40, (i) => login(`user${i}`, '203.0.113.1')),
      ),
    ).toBe(10)
  })

  it('lists match an address in every spelling, and no other address of its /64 (H12)', async () => {
    const allow = ['2001:db8::1', '198.51.100.0/31']
    const { port } = await serve(name, {
      ...BEHIND,
      limits: '2/day',
      allow,
      deny: '203.0.113.0/24',
    })
    const spellings = ['2001:db8::1', '2001:0DB8:0:0:0:0:0:1', '[2001:db8::0.0.0.1]:443']
    const ours = ['198.51.100.0', '::ffff:198.51.100.1', '::ffff:c633:6400', '64:ff9b::c633:6401']
    const listed = [...spellings, ...ours].flatMap((address) => repeat(20, () => from(address)))
    expect(await admitted(port, listed)).toBe(listed.length)
    expect(
      await admitted(
        port,
        repeat(20, (i) => from(`2001:db8::${i + 2}`)),
      ),
    ).toBe(2)
    for (const forbidden of ['203.0.113.9', '::ffff:203.0.113.9', '::ffff:cb00:7109']) {
      expect(await statuses(port, 2, from(forbidden))).toEqual([403, 403])
    }
  })
})
