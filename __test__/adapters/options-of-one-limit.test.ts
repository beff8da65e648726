import Fastify from 'fastify'
import { rateThrottle as onExpress } from 'ratethrottle/express'
import fastifyPlugin from 'ratethrottle/fastify'
import { rateThrottle as onHono } from 'ratethrottle/hono'
import { type Insight, insight } from 'ratethrottle/insight'
import { expect, test } from 'vitest'

type Limit = (...given: unknown[]) => { close(): void }

const LIMITS: Record<string, (view: Insight) => Promise<Limit> | Limit> = {
  Express: (view) => onExpress({ limits: '9/hour', insight: view }).limit as Limit,
  Hono: (view) => onHono({ limits: '9/hour', insight: view }).limit as Limit,
  Fastify: async (view) => {
    const app = Fastify()
    await app.register(fastifyPlugin, { limits: '9/hour', insight: view })
    return app.rateThrottle as unknown as Limit
  },
}

test.each(Object.entries(LIMITS))(
  '%s: options beside limits are refused, since nothing would read them; a name is the row of an insight',
  async (_name, of) => {
    const view = insight()
    const limit = await of(view)
    for (const more of [{ name: 'y' }, { blockFor: '1 hour' }, ['1/day'], {}]) {
      expect(() => limit('2/minute', more)).toThrow(
        /must be given its options with the limits, as in \w+\(\{ limits: /,
      )
    }
    const made = [
      limit({ limits: '2/minute', name: 'y' }),
      limit({ limits: '2/minute', scope: 'z' }),
      // As the callback of `map`.
      ...['1/minute', '2/minute'].map((one, i) => limit(one, i)),
    ]
    const names = view.report().limits.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['y', 'z']))
    for (const one of made) one.close()
    view.close()
  },
)
