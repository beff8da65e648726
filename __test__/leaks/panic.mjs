// With the test build of the addon: makes each native function panic once, and prints what it did before, during
// and after that. The list of functions is the addon's own: one that has no call below is reported as 'not called'.
import binding from '#binding'

const SETTINGS = { algorithm: 'token-bucket', blockForMs: 0, capacity: 100 }
const LIMITS = { ...SETTINGS, counts: [100], windowsMs: [60_000] }

/** Exports that run no code of a limiter: counters of the test build, and the empty call of the benchmarks. */
const EXEMPT = ['clockReads', 'lostExchanges', 'noop', 'panicNext', 'reportedBytes']

const SHIELD = {
  sources: 64,
  maxRate: Number.POSITIVE_INFINITY,
  ceiling: 50,
  regularAfterMs: 45_000,
  regularRequests: 12,
  newcomerRate: 1,
  newcomerBurst: 20,
  strikes: 8,
  strikesWithinMs: 60_000,
  insistenceBlocks: [1_000],
  failures: 15,
  failureShare: 0.8,
  failurePaths: 16,
  failureBlocks: [1_000],
  v4Prefix: 24,
  v6Prefix: 48,
  prefixShare: 0.05,
}

const INSIGHT = { keys: 'hash', top: 10, hasClock: false }

const PERMITS = { perKey: 2, total: 0, capacity: 64 }

const EXPORTS = {
  open: [LIMITS],
  openVariable: [SETTINGS],
  openStored: [LIMITS],
  openShield: [SHIELD],
  openInsight: [INSIGHT],
  openPermits: [PERMITS],
  policyArgs: [LIMITS, false],
  sharedList: [],
  sharedRemove: ['no such file'],
}

const LIMITER = {
  check: ['key'],
  take: ['key'],
  pace: ['key'],
  peek: ['key'],
  standing: ['key', 0],
  refund: ['key'],
  block: ['other', 1],
  reset: ['key'],
  denied: ['key', 0],
  stats: [],
  tally: [],
  renew: [],
  // Last: the others refuse after it.
  close: [],
}

const GUARD = {
  decide: ['192.0.2.1'],
  settle: ['192.0.2.1', 1],
  blocked_ms: ['192.0.2.1'],
  block: ['192.0.2.2', 1],
  // It was not blocked.
  pardon: ['192.0.2.3'],
  capacity: ['', 0],
  state: ['', 1],
  top: ['', 1],
  stats: [],
  renew: [],
  close: [],
}

const VIEW = {
  row: ['api', 0],
  count: ['key', 0],
  flush: ['', 0],
  read: [],
  series: ['', 1],
  names: ['', 0],
  top: ['', 0],
  key_name: ['key'],
  state: [],
  stats: [],
  renew: [],
  close: [],
}

const HOLDER = {
  acquire: ['key'],
  release: [0],
  held: ['key'],
  reap: [],
  state: [],
  stats: [],
  renew: [],
  close: [],
}

const STEPS = ['check', 'take', 'pace', 'peek', 'refund', 'reset', 'block']
const STORED = Object.fromEntries(STEPS.map((name) => [name, [undefined, 1, 1]]))

const variable = binding.openVariable(SETTINGS)
variable.limits.set([1, 100, 60_000, 100])

const reports = [
  ...provokeAll('', binding, EXPORTS),
  ...provokeAll('open().', binding.open(LIMITS), { allow: ['key'], live: ['', 0], ...LIMITER }),
  ...provokeAll('openVariable().', variable, LIMITER),
  ...provokeAll('openShield().', binding.openShield(SHIELD), GUARD),
  ...provokeAll('openInsight().', binding.openInsight(INSIGHT), VIEW),
  ...provokeAll('openPermits().', binding.openPermits(PERMITS), HOLDER),
  ...provokeAll('openStored().', binding.openStored(LIMITS), STORED),
]
console.log(JSON.stringify(reports))

function provokeAll(prefix, object, calls) {
  const functions = Object.keys(object).filter((name) => typeof object[name] === 'function')
  const uncalled = functions.filter((name) => !Object.hasOwn(calls, name) && !EXEMPT.includes(name))
  return [
    ...uncalled.map((name) => ({ name: `${prefix}${name}`, panicking: 'not called' })),
    ...Object.entries(calls).map(([name, args]) =>
      provoke(`${prefix}${name}`, () => object[name](...args)),
    ),
  ]
}

function provoke(name, use) {
  const before = outcomeOf(use)
  binding.panicNext()
  const panicking = outcomeOf(use)
  return { name, before, panicking, after: outcomeOf(use) }
}

/** The code of the error, or 'returned'. */
function outcomeOf(use) {
  try {
    use()
    return 'returned'
  } catch (error) {
    return error.code
  }
}
