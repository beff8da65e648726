import { createServer } from 'node:http'
import { createLimiter, RateLimiter } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { expect, it } from 'vitest'
import { listen } from '../http/serve.ts'

/** A limiter of ours by its methods alone, as a user's own may be. */
function limiterObject(missing = ''): RateLimiter {
  const limiter = new RateLimiter('2/minute')
  const names = 'check peek take refund block reset wait delay standings close consume stats'.split(
    ' ',
  )
  const methods = names
    .filter((name) => name !== missing)
    .map((name) => [name, Reflect.get(limiter, name).bind(limiter)])
  return { limits: limiter.limits, ...Object.fromEntries(methods) }
}

it('a limiter object that answers at once answers with promises after createLimiter', async () => {
  const limiter = createLimiter({ storage: limiterObject() })
  const checked = limiter.check('k')
  expect(checked).toBeInstanceOf(Promise)
  expect(limiter.standings('k', await checked)).toMatchObject([{ remaining: 1 }])
  expect(await limiter.ready()).toEqual({ available: true, reason: undefined })
})

it.each(['take', 'delay', 'standings', 'close'])(
  'a limiter object without %s is refused',
  (missing) => {
    const make = (): unknown => createLimiter({ storage: limiterObject(missing) })
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  },
)

it('an adapter does not close the limiter that it was given', async () => {
  const storage = new RateLimiter('2/minute')
  const adapters = [1, 2].map(() => rateThrottle({ storage, key: () => 'k' }))
  adapters[0]?.close()
  const server = createServer(adapters[1]?.wrap((_request, response) => response.end('ok')))
  expect((await fetch(await listen(server))).status).toBe(200)
  expect(storage.peek('k').remaining).toBe(1)
})
