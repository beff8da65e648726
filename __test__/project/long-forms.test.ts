import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const LONG = '__test__/fixtures/long.ts'
/** What prove scripts with a list of their own run: `scripts/prove-*.mjs` and the vitest configurations. */
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  scripts: Record<string, string>
}

/** The paths that prove scripts hand to vitest in the long form. */
const PROVED = Object.entries(scripts)
  .filter(([name, text]) => name.startsWith('prove:') && text.includes('__test__/long.env'))
  .flatMap(([, text]) => text.split(' ').filter((word) => /^__test__\/(?!long\.env)/.test(word)))

const TESTS = readdirSync('__test__', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('__test__', name))

const isProved = (file: string): boolean => PROVED.some((path) => file.startsWith(path))

/** The modules of the tests that a module imports. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8')
  return [...text.matchAll(/from '(\.{1,2}\/[^']+\.ts)'/g)]
    .map(([, path = '']) => join(dirname(file), path))
    .filter((path) => path.startsWith('__test__/') && existsSync(path))
}

const known = new Map<string, boolean>([[LONG, true]])

/** Whether a module, or one that it imports, asks for the length. */
function asks(file: string): boolean {
  const before = known.get(file)
  if (before !== undefined) return before
  known.set(file, false)
  const found = importsOf(file).some(asks)
  known.set(file, found)
  return found
}

/** Files that take part only in the long form: see vitest.config.mts. */
function longOnly(): string[] {
  const [, list = ''] =
    /const LONG = \[([^\]]*)\]/.exec(readFileSync('vitest.config.mts', 'utf8')) ?? []
  return [...list.matchAll(/'([^']+)'/g)].map(([, path = '']) => path)
}

test('each test file that has a long form is run in it by a prove script', () => {
  const long = TESTS.filter(asks)
  expect(long.length).toBeGreaterThan(40)
  expect(long.filter((file) => !isProved(file))).toEqual([])
})

test('each test file that is left out of npm test is run by a prove script', () => {
  expect(longOnly().length).toBeGreaterThan(5)
  expect(longOnly().filter((file) => !isProved(file))).toEqual([])
})

test('the paths of the prove scripts exist', () => {
  expect(PROVED.length).toBeGreaterThan(20)
  expect(PROVED.filter((path) => !existsSync(path))).toEqual([])
})
