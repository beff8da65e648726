import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import vm from 'node:vm'
import { expect, test } from 'vitest'
import { ROOT } from '../fixtures/child.ts'

// Jest evaluates each module in a new context, whose RangeError is not the one that the addon knows.

interface Realm {
  readonly RangeError: ErrorConstructor
  readonly Error: ErrorConstructor
  readonly ratethrottle: typeof import('ratethrottle')
}

const real = createRequire(join(ROOT, 'package.json'))

/** Loads the built package as Jest does: its own files in another context, the addon in none. */
function load(): Realm {
  const context = vm.createContext({ process, setTimeout, clearTimeout, AbortController })
  const modules = new Map<string, { exports: unknown }>()
  const requireFrom = (from: string) => (name: string) => {
    const path = createRequire(from).resolve(name)
    if (!/\.c?js$/.test(path) || !path.startsWith(ROOT)) return createRequire(from)(name)
    const known = modules.get(path)
    if (known !== undefined) return known.exports
    const made = { exports: {} }
    modules.set(path, made)
    const wrapper = `(function (exports, require, module, __filename, __dirname) {${readFileSync(path, 'utf8')}\n})`
    const run = vm.runInContext(wrapper, context, { filename: path })
    run(made.exports, requireFrom(path), made, path, dirname(path))
    return made.exports
  }
  const ratethrottle = requireFrom(join(ROOT, 'package.json'))('./dist/index.js')
  return { ...vm.runInContext('({ RangeError, Error })', context), ratethrottle } as Realm
}

const codeOf = (error: unknown) => (error as { code?: unknown } | undefined)?.code

function refusalOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}

test('a native error is a RangeError with its code also if the addon belongs to another realm', () => {
  const { ratethrottle, RangeError: Theirs } = load()
  const { RateLimiter } = ratethrottle
  const first = new RateLimiter('5/minute', { name: 'realm' })
  const refusals = {
    NAME_IN_USE: () => new RateLimiter('6/minute', { name: 'realm' }),
    INVALID_LIMIT: () =>
      new RateLimiter(
        { count: 999_999_937, windowMs: 315_360_000_000 },
        { algorithm: 'sliding-window' },
      ),
  }
  for (const [code, act] of Object.entries(refusals)) {
    const error = refusalOf(act)
    expect(codeOf(error)).toBe(code)
    expect(error instanceof Theirs, code).toBe(true)
  }
  first.close()
})

test.each(['nonsense', '', 'Token-Bucket', 'gcra', 'token_bucket'])(
  'the native open refuses the algorithm "%s"',
  (algorithm) => {
    const binding = real('./crate/napi/binding.cjs') as {
      open(options: object): { allow(key: string): unknown }
    }
    const options = { counts: [5], windowsMs: [60_000], blockForMs: 0, capacity: 100 }
    const error = refusalOf(() => binding.open({ ...options, algorithm }))
    expect(codeOf(error)).toBe('INVALID_OPTION')
  },
)
