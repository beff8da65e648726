import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = process.cwd()

/** What a subpath promises to the programs that load it. */
export interface Subpath {
  /** What it exports at least, by name, from `import` and `require` alike. */
  readonly names: readonly string[]
  /** Whether the module is a function: what `require` gives, and the default of `import`. */
  readonly callable?: true
  /** The package that its user must install; loading the subpath must not load it, except for `loads`. */
  readonly peer?: string
  /** The peer is more than types to it, and may be loaded with it. */
  readonly loads?: true
  /** What its program in `consumers` prints. */
  readonly prints: string
}

const SERVED = '200 200 429'
/** What every HTTP adapter exports. */
const ADAPTER = [
  ...['rateThrottle', 'byIp', 'byUser', 'byHeader', 'firstOf', 'allOf'],
  ...['ConcurrencyExceeded', 'RateLimitExceeded', 'RequestRefused', 'TRUST_EVERYBODY'],
]

/** Every planned subpath; the tests use those that package.json exports. */
const PROMISED: Record<string, Subpath> = {
  '.': {
    names: ['RateLimiter', 'createLimiter', 'parseLimits', 'RateLimitExceeded', 'FakeClock'],
    prints: 'true true false',
  },
  './fastify': { names: ADAPTER, callable: true, peer: 'fastify', prints: SERVED },
  './express': {
    names: ADAPTER,
    peer: 'express',
    prints: `${SERVED} / 200 429`,
  },
  './http': { names: ADAPTER, prints: SERVED },
  './hono': { names: ADAPTER, peer: 'hono', prints: SERVED },
  './websocket': {
    names: [
      ...['socketLimits', 'byIp', 'byUser', 'byHeader', 'firstOf', 'allOf'],
      ...['ConcurrencyExceeded', 'RateLimitExceeded', 'RequestRefused', 'TRUST_EVERYBODY'],
    ],
    peer: 'ws',
    prints: 'open 429 0 1 2',
  },
  './koa': { names: ADAPTER, peer: 'koa', prints: `${SERVED} / 200 429` },
  './web': { names: ADAPTER, prints: `${SERVED} / 200 429` },
  './nest': {
    names: [
      ...ADAPTER.filter((name) => name !== 'rateThrottle'),
      ...['RateThrottleModule', 'RateThrottleGuard', 'RateThrottleInterceptor'],
      ...['RateThrottleService', 'Limit', 'SkipLimit', 'UseRateThrottle', 'contextOf'],
    ],
    peer: '@nestjs/common',
    loads: true,
    prints: `${SERVED} / 200 429`,
  },
  './config': {
    names: ['loadConfig', 'defineConfig', 'checkConfig', 'schema', 'Config', 'ConfigError'],
    prints: '200 200 429',
  },
  './overload': { names: ['overload'], prints: '200 503 200' },
  './shield': { names: ['shield'], prints: 'undefined 429 60000 true' },
  './graphql': {
    names: [...ADAPTER.filter((name) => name !== 'rateThrottle'), 'costOf', 'plugin'],
    peer: 'graphql',
    prints: '21 2 RATE_LIMITED',
  },
  './grpc': {
    names: [
      ...ADAPTER.filter((name) => !['rateThrottle', 'byHeader'].includes(name)),
      ...['interceptor', 'byMetadata', 'ConcurrencyExceeded'],
    ],
    peer: '@grpc/grpc-js',
    prints: 'hi hi RESOURCE_EXHAUSTED',
  },
  './insight': { names: ['insight', 'alerts', 'webhook', 'slack'], prints: 'api 2 1 1' },
  './decorators': { names: ['limit'], prints: 'done done RateLimitExceeded' },
  './testing': { names: ['FakeClock', 'timersClock', 'testLimiter'], prints: 'true false true' },
  './redis': { names: ['RedisLimiter'], peer: 'ioredis', loads: true, prints: 'function' },
  './remote': {
    names: ['RemoteLimiter', 'RemoteVariableLimiter', 'Guard', 'StoreFailure', 'storeDecision'],
    prints: 'true false',
  },
}

/** One target of package.json's `exports`. */
export interface Target {
  readonly types: string
  readonly default: string
}

interface Manifest {
  readonly main: string
  readonly types: string
  readonly exports: Record<string, Target | string>
  readonly typesVersions: Record<'*', Record<string, string[]>>
  readonly scripts: Record<string, string>
  readonly keywords: readonly string[]
  readonly dependencies?: object
  readonly peerDependencies: Record<string, string>
  readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>
}

/** The package's own package.json. */
export const MANIFEST: Manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

/** What package.json exports, except package.json. */
export const TARGETS: readonly (readonly [string, Target])[] = Object.entries(
  MANIFEST.exports,
).filter((entry): entry is [string, Target] => typeof entry[1] === 'object')

/** What the exported subpaths promise. A subpath that promises nothing stops the test. */
export const SUBPATHS: readonly (readonly [string, Subpath])[] = TARGETS.map(([subpath]) => [
  subpath,
  promiseOf(subpath),
])

function promiseOf(subpath: string): Subpath {
  const promised = PROMISED[subpath]
  const consumer = consumerOf(subpath)
  if (promised !== undefined && existsSync(join(ROOT, consumer))) return promised
  throw new Error(
    `package.json exports "${subpath}", and nothing tests it: say in __test__/package/subpaths.ts ` +
      `what it promises, and write a program that uses it, ${consumer}`,
  )
}

/** The program that uses a subpath as its users would, from the root of the checkout. */
export function consumerOf(subpath: string): string {
  return `__test__/package/consumers/${nameOf(subpath)}.ts`
}

/** `index`, or the subpath without its `./`. */
export function nameOf(subpath: string): string {
  return subpath === '.' ? 'index' : subpath.slice('./'.length)
}

/** The specifier that a user writes after `from`. */
export function specifierOf(subpath: string): string {
  return `ratethrottle${subpath.slice(1)}`
}
