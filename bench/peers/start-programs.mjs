/**
 * The programs of suite `start`: each runs in a process of its own, as `node --eval` in the folder of the tree it
 * loads ratethrottle from, and prints one line of JSON.
 */

/** Measures loading by what is there from the start: `performance` would load modules of Node first. */
const TIMED = (load) => `
const known = new Set(process.moduleLoadList)
const cpu = process.cpuUsage()
const start = process.hrtime()
${load}
const [seconds, nanos] = process.hrtime(start)
const { user, system } = process.cpuUsage(cpu)
const builtins = process.moduleLoadList.filter(
  (name) => name.startsWith('NativeModule ') && !known.has(name),
)
const times = { ms: seconds * 1e3 + nanos / 1e6, cpuMs: (user + system) / 1e3 }
console.log(JSON.stringify({ ...times, builtins: builtins.length }))
process.exit()
`

/** The debugger is told of each script, whichever loader compiles it. It slows down loading, which is not timed here. */
const COUNTED = (inspector, load) => `
const { Session } = ${inspector}
const session = new Session()
session.connect()
const scripts = new Map()
session.on('Debugger.scriptParsed', ({ params: { url, length } }) => {
  if (url.startsWith('file:') || url.startsWith('/')) scripts.set(url, length)
})
session.post('Debugger.enable')
scripts.clear()
${load}
const sourceBytes = [...scripts.values()].reduce((sum, length) => sum + length, 0)
console.log(JSON.stringify({ files: scripts.size, sourceBytes }))
process.exit()
`

/** How a CommonJS program and an ES module load a package. */
const LOADERS = {
  require: {
    flags: [],
    inspector: "require('node:inspector')",
    load: (name) => `require('${name}')`,
  },
  import: {
    flags: ['--input-type=module'],
    inspector: "await import('node:inspector')",
    load: (name) => `await import('${name}')`,
  },
}

/** From the start of loading to the first answer, of the store alone where there is one. */
const FIRST = {
  ratethrottle: `const { RateLimiter } = await import('ratethrottle')
new RateLimiter('10/minute').allow('user:1')`,
  'rate-limiter-flexible': `const { RateLimiterMemory } = await import('rate-limiter-flexible')
await new RateLimiterMemory({ points: 10, duration: 60 }).consume('user:1')`,
  'express-rate-limit': `const { MemoryStore } = await import('express-rate-limit')
const store = new MemoryStore()
store.init({ windowMs: 60_000 })
await store.increment('user:1')`,
  '@fastify/rate-limit': `const { default: Store } = await import('@fastify/rate-limit/store/LocalStore.js')
new Store(false, false, 5000).incr('user:1', () => {}, 60_000, 10)`,
}

/** A process that loads nothing: what every other takes besides. */
export const EMPTY = 'empty'

const PACKAGES = [
  ...['ratethrottle', 'ratethrottle/fastify', 'ratethrottle/express', 'ratethrottle/http'],
  ...['ratethrottle/redis', '@fastify/rate-limit', 'express-rate-limit', 'rate-limiter-flexible'],
]

/** Subjects by case. */
export const CASES = {
  require: [EMPTY, ...PACKAGES],
  import: [EMPTY, ...PACKAGES],
  first: [EMPTY, ...Object.keys(FIRST)],
}

/** The flags and the text for `node`; `isCounted` counts the files in place of the time. */
export function programOf(name, subject, isCounted) {
  const { flags, inspector, load } = LOADERS[name === 'require' ? 'require' : 'import']
  const loads = name === 'first' ? FIRST[subject] : load(subject)
  const text = subject === EMPTY ? '' : loads
  return [...flags, '--eval', isCounted ? COUNTED(inspector, text) : TIMED(text)]
}
