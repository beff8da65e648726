// Lines of the TypeScript layer that are broken on purpose: what is broken, where, how, and which test files
// are asked. The first `from` in `file` is replaced. A mutant that changes nothing says in `survives` why.

import { PERMIT_STORMS } from './permit-storms.mjs'
import { SHIELD } from './shield.mjs'

const paths = (...names) => names.map((name) => `__test__/${name}.test.ts`)

const HTTP = [
  {
    name: 'of stacked limiters only the last gives back',
    file: 'ts/http/charge-record.ts',
    from: 'return andThen(refunded, () => rollback(record.previous))',
    to: 'return refunded',
    tests: ['__test__/http/stacked.test.ts'],
  },
  {
    name: 'each of several processes is silent about counting for itself',
    file: 'ts/http/events.ts',
    from: 'if (!isMemory || !isOneOfSeveral || hasWarnedOfProcesses) return',
    to: 'if (isMemory || !isOneOfSeveral || hasWarnedOfProcesses) return',
    tests: ['__test__/http/per-process.test.ts'],
  },
  {
    name: 'a longer block is replaced by a shorter one',
    file: 'ts/http/escalating-block.ts',
    from: 'const isLonger = denied.retryAfterMs >= ms',
    to: 'const isLonger = false',
    tests: [
      ...paths('http/block-steps'),
      '__test__/http/escalation.test.ts',
      '__test__/http/redis.test.ts',
    ],
  },
  {
    name: 'a full table is an error in steps of blockFor',
    file: 'ts/http/escalating-block.ts',
    from: "error.code === 'TABLE_FULL'",
    to: "error.code === 'TABLE_EMPTY'",
    tests: [...paths('http/block-steps', 'http/held-streams'), '__test__/http/escalation.test.ts'],
  },
  {
    name: 'a client that has reset its connection is a Unix-socket caller',
    file: 'ts/http/node.ts',
    from: 'if (socket.localAddress !== undefined) return false',
    to: 'return true',
    tests: paths('adapters/resets'),
  },
  {
    name: 'a stray X-Forwarded-For is looked for in the first requests only',
    file: 'ts/http/client.ts',
    from: ' && this.#seen % LATER_LOOKS !== 0',
    to: '',
    tests: ['__test__/http/stray-header.test.ts'],
  },
  {
    name: 'X-RateLimit-Reset speaks of all limits',
    file: 'ts/http/legacy-headers.ts',
    from: 'const ms = allowed ? limitResetMs : Math.max(limitResetMs, (retryAfter ?? 0) * 1000)',
    to: 'const ms = decision.resetMs',
    tests: paths('http/one-limit', 'http/headers-by-hand', 'http/under-a-block'),
  },
  {
    name: 'requests that wait are not released when a server shuts down',
    file: 'ts/http/charge.ts',
    from: 'for (const leave of [...this.#leave]) leave()',
    to: '',
    tests: paths('adapters/shutdown'),
  },
  {
    name: 'a limiter is closed under decisions that are under way',
    file: 'ts/http/http-limiter.ts',
    from: 'if (this.#isClosed && this.pending === 0) this.#context.source.close()',
    to: 'if (this.#isClosed) this.#context.source.close()',
    tests: paths('adapters/shutdown'),
  },
  {
    name: 'a refund to a limiter closed meanwhile is an error',
    file: 'ts/http/counted-requests.ts',
    from: 'if (!isClosed(error)) events.failed(request, error)',
    to: 'events.failed(request, error)',
    tests: paths('http/closing'),
  },
  {
    name: 'a request that begins to wait after the release waits on',
    file: 'ts/http/charge.ts',
    from: 'if (this.#isReleased) queueMicrotask(gone)',
    to: '',
    tests: paths('http/closing'),
  },
  {
    name: 'the figures of a limit are those of the one before',
    file: 'ts/http/legacy-headers.ts',
    from: 'if (number !== this.#number) {',
    to: 'if (this.#number === 0) {',
    tests: paths('http/one-limit', 'http/headers-by-hand'),
  },
  {
    name: 'units that are held are an offence',
    file: 'ts/http/provisional-charge.ts',
    from: 'if (held.isHeld(key)) return later',
    to: '',
    tests: paths('http/held-units', 'http/held-requests'),
  },
  {
    name: 'units held by another process are an offence',
    file: 'ts/http/provisional-charge.ts',
    from: 'if (before.isHeld) return later',
    to: 'if (before.isHeld) return this.#offend(attempt)',
    tests: paths('http/held-units', 'http/held-requests'),
  },
  {
    name: 'a made-per-request limiter goes untold',
    file: 'ts/http/events.ts',
    from: 'if (openLimiters >= MANY_LIMITERS || isInRequest()) warnOfLimitersPerRequest()',
    to: '',
    tests: paths('adapters/made-per-request'),
  },
  {
    name: 'a route before the limiter goes untold',
    file: 'ts/adapters/express/internals.ts',
    from: 'if (visit(handle.stack, join(at, pathsOf(layer)), walk, depth + 1)) return true',
    to: '',
    tests: paths('adapters/express-late'),
  },
  {
    name: 'Express never looks for error handlers beyond the app',
    file: 'ts/adapters/express/internals.ts',
    from: 'while (isApp(next) && apps.length < MAX_APPS) {',
    to: 'while (isApp(next) && apps.length < 1) {',
    tests: [...paths('adapters/express-errors'), '__test__/http/error-handler.test.ts'],
  },
]

const QUEUE = [
  {
    name: 'any number of callers waits for a key',
    file: 'ts/wait-queue.ts',
    from: "if (line.size >= this.#options.maxWaitersPerKey) return 'crowded-key'",
    to: '',
    tests: paths('wait-queue/caps', 'http/slow-down-waits', 'http/held-requests'),
  },
  {
    name: 'any number of callers waits in all',
    file: 'ts/wait-queue.ts',
    from: "? 'crowded' : undefined",
    to: '? undefined : undefined',
    tests: paths('wait-queue/caps', 'http/slow-down-waits', 'http/held-requests'),
  },
  {
    name: 'a client that has gone joins the queue',
    file: 'ts/wait-queue.ts',
    from: "if (caller?.isGone === true) return 'gone'",
    to: '',
    survives: 'it leaves in the same turn: watching a response that is over tells so at once',
    tests: paths('wait-queue/caps', 'http/slow-down-waits', 'http/held-requests'),
  },
  {
    name: 'a waiter that can never be served joins the queue',
    file: 'ts/wait-queue.ts',
    from: "if (!isInTime(Math.max(own, place), deadline)) return 'late'",
    to: '',
    tests: paths('wait-queue/caps', 'http/slow-down-waits', 'http/held-requests'),
  },
]

const REDIS = [
  {
    name: 'a limiter that answers with promises has an allow',
    file: 'ts/limiter.ts',
    from: "throw withCode(new TypeError(message), 'ASYNC_LIMITER')",
    to: 'return message as never',
    tests: paths('limiter'),
  },
  {
    name: 'a remembered denial is believed for as long as Redis said',
    file: 'ts/remote/denial-cache.ts',
    from: 'const until = askedAt + Math.min(ms - 1, localDenialsMs)',
    to: 'const until = askedAt + ms - 1',
    tests: paths('redis/remembered-denials'),
  },
  {
    name: 'a remembered key keeps the text alive that it was cut from',
    file: 'ts/remote/denial-cache.ts',
    from: 'const name = flat(tableKey(key))',
    to: 'const name = tableKey(key)',
    tests: paths('redis/remembered-denials'),
  },
  {
    name: 'the circuit breaker closes on any answer',
    file: 'ts/remote/circuit-breaker.ts',
    from: 'if (tookMs < this.owner.shortestMs || this.#isNew) {',
    to: 'if (tookMs >= 0) {',
    tests: paths('redis/outages', 'redis/wrong-from-the-start'),
  },
  {
    name: 'an outage goes untold',
    file: 'ts/remote/failure.ts',
    from: "warn('RATETHROTTLE_STORE_DOWN'",
    to: "if (meanwhile === '') warn('RATETHROTTLE_STORE_DOWN'",
    tests: paths('redis/wrong-from-the-start'),
  },
]

const STORES = [
  {
    name: 'a write to a store that lost counts as done',
    file: 'ts/remote/stored-records.ts',
    from: 'if (!isSet) {',
    to: 'if (!isSet && false) {',
    tests: paths('remote/stored', 'contract/stores'),
  },
  {
    name: 'a call to a store that is too late is charged',
    file: 'ts/remote/stored-records.ts',
    from: 'if (call.guarded.settled) return []',
    to: 'if (call.guarded.settled && false) return []',
    tests: paths('remote/stored'),
  },
  {
    name: 'whatever a store answers is no record',
    file: 'ts/remote/stored-records.ts',
    from: 'if (!isRead) throw',
    to: 'if (!isRead && false) throw',
    tests: paths('remote/stored'),
  },
  {
    name: 'contention opens the circuit breaker of a store',
    file: 'ts/remote/guard.ts',
    from: "['contention', 'record']",
    to: '[]',
    tests: paths('remote/stored'),
  },
]

/** What the end of one limiter does to the others. */
const CLOSING = [
  {
    name: 'calls of a limiter that closes pass for timeouts',
    file: 'ts/remote/deadlines.ts',
    from: 'if (!call.settled) call.cutOff()',
    to: 'if (!call.settled) call.expire()',
    tests: paths('redis/closing'),
  },
  {
    name: 'a call under way rejects before its limiter has closed',
    file: 'ts/remote/remote-limiter.ts',
    from: 'await this.#closing?.catch(() => {})',
    to: '',
    tests: paths('redis/closing'),
  },
  {
    name: 'a call for a permit rejects before its limiter has closed',
    file: 'ts/remote/permits/remote-concurrency.ts',
    from: 'await this.#closing?.catch(() => {})',
    to: '',
    tests: paths('redis/closing'),
  },
  {
    name: 'a call under way is decided without the store by a limiter that is closed',
    file: 'ts/remote/question.ts',
    from: 'if (state.isClosed) return state.refuseLate()',
    to: '',
    tests: paths('redis/closing'),
  },
  {
    name: 'probes go on with what is refused to a limiter that is closed',
    file: 'ts/redis/calls.ts',
    from: 'if (this.#sampleOf !== user || this.sample === undefined) return',
    to: 'if (this.sample !== null) return',
    tests: paths('redis/closing'),
  },
  {
    name: 'heartbeats of a prefix outlast its limiters',
    file: 'ts/redis/heartbeat.ts',
    from: 'if (count.isLeft) {',
    to: 'if (count.isLeft && count.dueAt < 0) {',
    tests: paths('redis/closing'),
  },
  {
    name: 'the first wait is that of a limiter that is closed',
    file: 'ts/redis/connection.ts',
    from: 'this.#startUp?.leave(user.connectTimeoutMs)',
    to: 'void 0',
    tests: paths('redis/closing'),
  },
  {
    name: 'what was granted while a store was away is forgotten with the limiter that a reload closes',
    file: 'ts/remote/fallback.ts',
    from: 'counters.has(sharing.group, this.#name)) this.open()',
    to: 'counters.has(options, this.#name)) this.open()',
    tests: paths('remote/store-faults'),
  },
  {
    name: 'callers that wait for a permit are rejected before its limiter has closed',
    file: 'ts/remote/permits/remote-concurrency.ts',
    from: 'if (this.#isClosed) return this.#refuseLate()',
    to: "if (this.#isClosed) throw closedError('')",
    tests: paths('redis/closing'),
  },
  {
    name: 'a renewal takes a permit again that was given back',
    file: 'ts/remote/permits/store.ts',
    from: 'isReleased !== true && ',
    to: '',
    tests: paths('permits/store'),
  },
  {
    name: 'permits are renewed after a closed limiter has given them back',
    file: 'ts/remote/permits/keeper.ts',
    from: 'if (this.#isClosed || permits.length === 0) return',
    to: 'if (permits.length === 0) return',
    tests: paths('permits/keeper'),
  },
]

export const MUTANTS = [
  ...HTTP,
  ...QUEUE,
  ...REDIS,
  ...STORES,
  ...SHIELD,
  ...CLOSING,
  ...PERMIT_STORMS,
]
