import { MAX_COUNT, MAX_LIMITS, MAX_WINDOW_MS } from '../limit/limit.ts'
import { ALGORITHMS } from '../options.ts'
import {
  any,
  BOOLEAN,
  integer,
  list,
  type ObjectShape,
  object,
  SHARE,
  type Shape,
  text,
  words,
} from './shape.ts'

/*
 * Every key of a configuration. What is accepted, what is refused and what the JSON Schema says come from here; each
 * key is an option of the adapters, and does what that option does.
 */

const DURATION = any(
  "a duration such as '5 minutes', or milliseconds",
  text(1, 64),
  integer(1, MAX_WINDOW_MS),
)
const TEXTS = any('a text, or a list of texts', text(1, 1_000), list(text(1, 1_000), 1, 10_000))

const TRUST = any(
  'addresses and ranges of proxies, or { proxies, header, hops }',
  text(1, 1_000),
  list(text(1, 1_000), 1, 10_000),
  object({ proxies: TEXTS, header: text(1, 64), hops: integer(1, 64) }, 'proxies'),
)

const LIMIT = object(
  {
    count: integer(1, MAX_COUNT),
    windowMs: integer(1, MAX_WINDOW_MS),
    burst: integer(1, MAX_COUNT),
  },
  'count',
  'windowMs',
)
const ONE_LIMIT = any("a limit such as '100/minute', or { count, windowMs }", text(1, 1_000), LIMIT)
const LIMITS = any(
  "a limit such as '100/minute', or a list of limits",
  text(1, 1_000),
  LIMIT,
  list(ONE_LIMIT, 1, MAX_LIMITS),
)

const SPELLED = [...ALGORITHMS, 'sliding-counter'].flatMap((name) => {
  const underscored = name.replaceAll('-', '_')
  return [name, underscored]
})

const MAX_PERMITS = 1_000_000

/** Of one limiter alone: at the top of a file only where it is the only limiter. */
export const OF_LIMITS: Readonly<Record<string, Shape>> = {
  limits: LIMITS,
  burst: integer(1, MAX_COUNT),
  name: text(1, 64),
  scope: text(1, 64),
  policy: any('a name, or a list of names', text(1, 64), list(text(1, 64), 1, MAX_LIMITS)),
}

const CONCURRENT = any(
  'how many requests of a client are served at a time, { perKey, total, queue, maxWaitMs, maxHoldMs } or false',
  integer(1, MAX_PERMITS),
  {
    ...object({
      perKey: integer(1, MAX_PERMITS),
      total: integer(1, MAX_PERMITS),
      queue: integer(0, 1_000_000),
      maxWaitMs: integer(0, MAX_WINDOW_MS),
      maxHoldMs: integer(1, 86_400_000),
    }),
    oneOf: ['perKey', 'total'],
  },
  { kind: 'boolean', only: false },
)

/** Of a limiter, or at the top of the file for all limiters. */
export const OF_ALL: Readonly<Record<string, Shape>> = {
  concurrent: CONCURRENT,
  algorithm: words(...SPELLED),
  blockFor: any(
    "a duration such as '5 minutes', or a list of them",
    text(1, 64),
    integer(0, MAX_WINDOW_MS),
    list(any("a duration such as '5 minutes'", text(1, 64), integer(1, MAX_WINDOW_MS)), 1, 64),
  ),
  capacity: integer(1, 134_217_728),
  onMismatch: words('error', 'private'),
  maxWaitersPerKey: integer(1, 10_000_000),
  maxWaiters: integer(1, 10_000_000),
  cost: integer(0, Number.MAX_SAFE_INTEGER),
  trust: TRUST,
  methods: list(text(1, 64), 1, 64),
  allow: TEXTS,
  deny: TEXTS,
  countWhen: words('always', 'success', 'failure'),
  outcomeTimeoutMs: integer(1, 600_000),
  slowDown: any("a duration such as '2 seconds'", text(1, 64), integer(1, MAX_WINDOW_MS)),
  missingKey: words('deny', 'shared', 'ip'),
  onKeyError: words('ip', 'deny'),
  keyTimeoutMs: integer(1, 60_000),
  headers: any('"legacy", "draft", "both" or false', words('legacy', 'draft', 'both'), {
    kind: 'boolean',
    only: false,
  }),
  status: integer(400, 599),
  message: text(1, 1_000),
  problem: BOOLEAN,
  dryRun: BOOLEAN,
  onError: words('local', 'open', 'closed'),
  onStoreError: words('local', 'open', 'closed'),
  storage: text(1, 4_096),
  keyPrefix: text(0, 256),
  deadlineMs: integer(1, 60_000),
  connectTimeoutMs: integer(1, 60_000),
  localDenials: any(
    "true, false, or a duration such as '10 seconds'",
    BOOLEAN,
    text(1, 64),
    integer(1, MAX_WINDOW_MS),
  ),
  lease: object({ size: integer(1, 1_000_000), ttl: DURATION }, 'size'),
  processes: integer(1, 1_000_000),
}

const BLOCKS = any(
  "a duration such as '10 minutes', or a list of 1 to 8",
  text(1, 64),
  integer(1, MAX_WINDOW_MS),
  list(any("a duration such as '10 minutes'", text(1, 64), integer(1, MAX_WINDOW_MS)), 1, 8),
)
const RATE = text(1, 64)

const SHIELD: ObjectShape = object({
  mode: words('watch', 'enforce', 'off'),
  maxRate: RATE,
  ceiling: RATE,
  regulars: object({ after: DURATION, requests: integer(1, 100_000) }),
  newcomers: object({ rate: RATE, burst: integer(1, 100_000) }),
  insistence: object({ strikes: integer(1, 255), within: DURATION, block: BLOCKS }),
  failures: object({
    min: integer(1, 2_000),
    share: SHARE,
    distinctPaths: integer(1, 64),
    block: BLOCKS,
  }),
  prefixes: object({ ipv4: integer(8, 32), ipv6: integer(16, 64), share: SHARE }),
  allow: TEXTS,
  sources: integer(64, 2 ** 24),
  name: text(1, 128),
  shared: BOOLEAN,
  onMismatch: words('error', 'private'),
  blocks: object({ storage: text(1, 4_096), keyPrefix: text(0, 256) }, 'storage'),
  tarpit: object({ ms: DURATION, max: integer(0, 100_000) }),
  trust: TRUST,
})

const INSIGHT: ObjectShape = object({
  keys: words('hash', 'mask', 'plain'),
  top: integer(0, 1_000),
  name: text(1, 128),
  shared: BOOLEAN,
  onMismatch: words('error', 'private'),
  control: any('true, false or { path }', BOOLEAN, object({ path: text(1, 1_000) })),
})

/** The keys of a limiter. */
export const LIMITER_KEYS: Readonly<Record<string, Shape>> = { ...OF_LIMITS, ...OF_ALL }

/** The keys of the whole file beside `limiters` and `routes`. */
export const TOP_KEYS: Readonly<Record<string, Shape>> = {
  $schema: text(1, 1_000),
  ...OF_LIMITS,
  ...OF_ALL,
  shield: SHIELD,
  insight: INSIGHT,
}

/** Options that only a program can express: functions, and clocks. */
export const FUNCTIONS: readonly string[] = [
  ...['key', 'skip', 'clock', 'handler', 'onAdmit', 'onDeny', 'onStoreChange'],
]

/** Those that may also be a function, or an object that is no data. */
export const ALSO_FUNCTIONS: readonly string[] = [
  'limits',
  'cost',
  'countWhen',
  'onError',
  'storage',
]

/** Options of a shield that only a program can express. */
export const SHIELD_FUNCTIONS: readonly string[] = [
  ...['clock', 'sensitive', 'onSuspect', 'onBlock', 'onPressure'],
]

/** Most limiters and routes of a file. */
export const MAX_LIMITERS = 1_000
export const MAX_ROUTES = 5_000
/** What the only limiter of a file without `limiters` is called. */
export const ONLY_LIMITER = 'default'

/** A name of a limiter: of the words that programs and metrics can show. */
export const LIMITER_NAME = '^[A-Za-z][A-Za-z0-9_.-]{0,63}$'

/** Names that objects have from the start. */
export const RESERVED: readonly string[] = Object.getOwnPropertyNames(Object.prototype)
