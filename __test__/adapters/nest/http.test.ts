import { afterEach, describe, expect, it } from 'vitest'
import { closeAll, makeCats, PLATFORMS, RateThrottleModule, start, statuses } from './apps.ts'

afterEach(closeAll)

describe.each(PLATFORMS)('%s', (platform) => {
  it('200 parallel callers: exactly as many handlers run as the limit admits', async () => {
    const { CatsController, runs } = makeCats()
    const imports = [RateThrottleModule.forRoot({ limits: '20/hour' })]
    const { url } = await start(platform, { imports, controllers: [CatsController] })
    const found = await statuses(`${url}/cats`, 200)
    expect(found.filter((status) => status === 200)).toHaveLength(20)
    expect(found.filter((status) => status === 429)).toHaveLength(180)
    expect(runs.find).toBe(20)
  })

  it('answers a refusal with the headers and the body of the other adapters', async () => {
    const { CatsController, runs } = makeCats()
    const imports = [RateThrottleModule.forRoot({ limits: '1/minute' })]
    const { url } = await start(platform, { imports, controllers: [CatsController] })
    await fetch(`${url}/cats`)
    const response = await fetch(`${url}/cats`)
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('60')
    expect(response.headers.get('x-ratelimit-limit')).toBe('1')
    expect(await response.json()).toEqual({
      statusCode: 429,
      code: 'RATE_LIMIT_EXCEEDED',
      error: 'Too Many Requests',
      message: 'Rate limit exceeded, retry in 60 seconds',
    })
    expect(runs.find).toBe(1)
  })

  it('charges the module and the handler both, or neither', async () => {
    const { CatsController, runs } = makeCats()
    const imports = [RateThrottleModule.forRoot({ limits: '3/minute' })]
    const { url } = await start(platform, { imports, controllers: [CatsController] })
    expect(await statuses(`${url}/cats/search`, 10)).toEqual([200, 200, ...Array(8).fill(429)])
    expect(await statuses(`${url}/cats`, 10)).toEqual([200, ...Array(9).fill(429)])
    expect(await statuses(`${url}/cats/free`, 10)).toEqual(Array(10).fill(200))
    expect(runs).toEqual({ find: 1, search: 2, free: 10 })
  })
})
