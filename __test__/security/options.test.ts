import Fastify from 'fastify'
import { rateThrottle as limitExpress } from 'ratethrottle/express'
import limitFastify from 'ratethrottle/fastify'
import { rateThrottle as limitHono } from 'ratethrottle/hono'
import { rateThrottle as limitNode } from 'ratethrottle/http'
import { describe, expect, it } from 'vitest'
import { statuses } from '../http/client.ts'
import { FRAMEWORKS, type Options, serve } from '../http/serve.ts'

/** One value for each option that is accepted. */
const RIGHT: Readonly<Record<string, unknown>> = {
  limits: '5/minute',
  key: () => 'k',
  cost: 1,
  trust: 'loopback',
  methods: ['GET'],
  skip: () => false,
  allow: '10.0.0.0/8',
  deny: ['192.0.2.1'],
  scope: 'options',
  countWhen: 'failure',
  blockFor: ['1 minute', '1 hour'],
  slowDown: '2 seconds',
  missingKey: 'deny',
  onKeyError: 'ip',
  keyTimeoutMs: 50,
  headers: 'both',
  policy: 'burst',
  status: 503,
  message: 'slow down',
  problem: true,
  handler: () => {},
  dryRun: true,
  onAdmit: () => {},
  onDeny: () => {},
  onError: () => {},
  onStoreError: 'local',
  storage: 'memory:',
  keyPrefix: 'p:',
  algorithm: 'token-bucket',
  burst: 5,
  capacity: 100,
  clock: { now: () => 0 },
}
/** Values that no option accepts. */
const WRONG: readonly unknown[] = [Symbol('x'), 1n, Number.NaN, new Date(0)]

const register = async (options: object): Promise<void> => {
  const app = Fastify()
  await app.register(limitFastify, options)
  await app.close()
}
const ADAPTERS: readonly [string, (options: object) => unknown][] = [
  ['Fastify', register],
  ['Express', (options) => limitExpress(options as never)],
  ['node:http', (options) => limitNode(options as never)],
  ['Hono', (options) => limitHono(options as never)],
]
const limited = { limits: '5/minute' }

describe.each(ADAPTERS)('%s', (_, make) => {
  const attempt = async (options: object): Promise<unknown> => make(options)

  it('every option is accepted by its name, and by no other spelling (H124)', async () => {
    for (const [name, value] of Object.entries(RIGHT)) {
      await attempt({ ...limited, [name]: value })
      for (const typo of [
        `${name}s`,
        name.slice(0, -1),
        name.toUpperCase(),
        `${name} `,
        `_${name}`,
      ]) {
        if (typo in RIGHT || typo === name) continue
        await expect(attempt({ ...limited, [typo]: value }), typo).rejects.toThrow(typo.trim())
      }
    }
  })

  it('a value of a wrong type stops the start, and the message names the option (H124)', async () => {
    for (const name of Object.keys(RIGHT)) {
      if (name === 'keyPrefix' || name === 'onStoreError') continue
      for (const value of WRONG) {
        if (name === 'handler' || name === 'clock') continue
        const named = new RegExp(name === 'limits' ? 'limit' : name)
        await expect(attempt({ ...limited, [name]: value }), name).rejects.toThrow(named)
      }
    }
  })

  it('option names of other packages are refused (H124)', async () => {
    const rivals = [
      'max',
      'windowMs',
      'timeWindow',
      'keyGenerator',
      'skipFailedRequests',
      'ban',
      'points',
    ]
    for (const name of [...rivals, ...Object.getOwnPropertyNames(Object.prototype)]) {
      const options = JSON.parse(`{"limits": "5/minute", ${JSON.stringify(name)}: 5}`)
      await expect(attempt(options), name).rejects.toThrow(name)
    }
  })
})

/** What a polluted prototype might turn off or on. */
const POLLUTED: Readonly<Record<string, unknown>> = {
  skip: () => true,
  allow: '0.0.0.0/0',
  dryRun: true,
  cost: 0,
  methods: ['PURGE'],
  trust: 'loopback',
  limits: '1000/second',
  headers: false,
  countWhen: () => false,
  rateLimit: false,
  RATELIMIT_STRATEGY: 'none',
  'x-forwarded-for': '1.2.3.4',
}

describe.each(FRAMEWORKS)('%s', (name) => {
  it.each(Object.entries(POLLUTED))(
    'a polluted Object.prototype.%s admits no request (H123)',
    async (property, value) => {
      const routes = [{ path: '/own', limits: { limits: '2/day' } as Options }]
      Object.defineProperty(Object.prototype, property, {
        value,
        configurable: true,
        writable: true,
      })
      try {
        const { port } = await serve(name, { limits: '2/day' }, { routes })
        expect(await statuses(port, 3)).toEqual([200, 200, 429])
      } finally {
        Reflect.deleteProperty(Object.prototype, property)
      }
    },
  )
})

it.each(['node:http', 'Hono'] as const)(
  '%s: a polluted Object.prototype.forwarded changes no answer',
  async (name) => {
    const forwarded = { value: 'x', configurable: true, writable: true }
    Object.defineProperty(Object.prototype, 'forwarded', forwarded)
    try {
      const { port } = await serve(name, { limits: '2/day' })
      expect(await statuses(port, 3)).toEqual([200, 200, 429])
    } finally {
      Reflect.deleteProperty(Object.prototype, 'forwarded')
    }
  },
)
