// With the test build of the addon: makes each native function panic once, and prints what it did before, during
// and after that. The list of functions is the addon's own: one that has no call below is reported as 'not called'.
import binding from '#binding'

const SETTINGS = { algorithm: 'token-bucket', blockForMs: 0, capacity: 100 }
const LIMITS = { ...SETTINGS, counts: [100], windowsMs: [60_000] }

/** Exports that run no code of a limiter: counters of the test build, and the empty call of the benchmarks. */
const EXEMPT = ['clockReads', 'lostExchanges', 'noop', 'panicNext', 'reportedBytes']

const EXPORTS = {
  open: [LIMITS],
  openVariable: [SETTINGS],
  openStored: [LIMITS],
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
  stats: [],
  renew: [],
  // Last: the others refuse after it.
  close: [],
}

const STEPS = ['check', 'take', 'pace', 'peek', 'refund', 'reset', 'block']
const STORED = Object.fromEntries(STEPS.map((name) => [name, [undefined, 1, 1]]))

const variable = binding.openVariable(SETTINGS)
variable.limits.set([1, 100, 60_000, 100])

const reports = [
  ...provokeAll('', binding, EXPORTS),
  ...provokeAll('open().', binding.open(LIMITS), { allow: ['key'], ...LIMITER }),
  ...provokeAll('openVariable().', variable, LIMITER),
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
