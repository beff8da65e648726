import { byHeader, byIp, byUser, FakeClock, firstOf } from 'ratethrottle'
import { describe, expect, it } from 'vitest'
import { times } from '../http/client.ts'
import { type Asked, type Options, SERVERS, type Served, serveSite } from '../http/serve.ts'

const ADA = { headers: { 'x-user': 'ada' } }
const BOB = { headers: { 'x-user': 'bob' } }
/** The user of a session, as a login sets it. */
const currentUser = (request: Asked): string | undefined => request.headers['x-user']?.toString()

function twoPerHour(
  framework: Parameters<typeof serveSite>[0],
  key: Options['key'],
): Promise<Served> {
  const options = { clock: new FakeClock(), ...(key === undefined ? {} : { key }) }
  return serveSite(framework, { options, routes: [{ path: '/', limits: '2/hour' }] })
}

describe.each(SERVERS)('%s: key', (framework) => {
  it.each([
    ['by default', undefined],
    ['with byIp', byIp()],
  ])('key by address, %s: each address has a separate budget', async (_, key) => {
    const { statuses } = await twoPerHour(framework, key)
    expect(await statuses(3, '/', { from: '127.0.0.1' })).toEqual(times(2, 200, 1, 429))
    expect(await statuses(3, '/', { from: '127.0.0.2' })).toEqual(times(2, 200, 1, 429))
    expect(await statuses(1, '/', { from: '127.0.0.1' })).toEqual([429])
  })

  it.each([
    ['with byUser', firstOf(byUser(currentUser), byIp())],
    [
      'with a function',
      (request: Asked & { ip?: string; socket?: { remoteAddress?: string } }) => {
        const user = currentUser(request)
        return user === undefined
          ? `ip:${request.ip ?? request.socket?.remoteAddress}`
          : `user:${user}`
      },
    ],
    [
      'with an async function',
      firstOf(
        byUser(async (request: Asked) => currentUser(request)),
        byIp(),
      ),
    ],
  ])('key by user, guests by address, %s', async (_, key) => {
    const { statuses } = await twoPerHour(framework, key as Options['key'])
    expect(await statuses(3, '/', ADA)).toEqual(times(2, 200, 1, 429))
    expect(await statuses(1, '/', { ...ADA, from: '127.0.0.2' })).toEqual([429])
    expect(await statuses(3, '/', BOB)).toEqual(times(2, 200, 1, 429))
    expect(await statuses(3)).toEqual(times(2, 200, 1, 429))
    expect(await statuses(3, '/', { from: '127.0.0.2' })).toEqual(times(2, 200, 1, 429))
  })

  it('a user whose name is an address does not share the budget of that address', async () => {
    const { statuses } = await twoPerHour(framework, firstOf(byUser(currentUser), byIp()))
    const posing = { headers: { 'x-user': '127.0.0.1' } }
    expect(await statuses(3, '/', posing)).toEqual(times(2, 200, 1, 429))
    expect(await statuses(2)).toEqual([200, 200])
  })

  it('requests with an API key are counted by it, others by address', async () => {
    const { statuses } = await twoPerHour(framework, firstOf(byHeader('X-API-Key'), byIp()))
    const withKey = (key: string, from?: string) => ({
      headers: { 'x-api-key': key },
      ...(from === undefined ? {} : { from }),
    })
    expect(await statuses(3, '/', withKey('one'))).toEqual(times(2, 200, 1, 429))
    expect(await statuses(1, '/', withKey('one', '127.0.0.2'))).toEqual([429])
    expect(await statuses(3, '/', withKey('two'))).toEqual(times(2, 200, 1, 429))
    // An empty header is no key.
    expect(await statuses(1, '/', withKey(''))).toEqual([200])
    expect(await statuses(2)).toEqual([200, 429])
  })

  it('a request without any key is refused with 400, and never unlimited', async () => {
    const { statuses, runs } = await twoPerHour(framework, byHeader('x-api-key'))
    expect(await statuses(3)).toEqual(times(3, 400))
    expect(runs()).toBe(0)
  })
})
