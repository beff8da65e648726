import { checkConfig } from 'ratethrottle/config'
import { expect, test } from 'vitest'
import { serve } from '../http/serve.ts'
import { file, load } from './files.ts'

const LIMITERS = { api: { limits: '2/hour' }, login: { limits: '1/hour' } }
const ROUTES = { 'POST /login': 'login', '*': 'api' }

/** Paths and messages of what is wrong. */
function said(content: object): (readonly [string, string])[] {
  const { errors } = checkConfig(JSON.stringify(content), 'x.json', { env: {} })
  return errors.map(({ path, message }) => [path, message])
}

test.each([
  ['trust', ['0.0.0.0/0']],
  ['trust', { proxies: ['10.0.0.0/33'] }],
  ['deny', ['10.0.0.0/99']],
  ['allow', '300.0.0.1'],
  ['blockFor', ['5 minuts']],
  ['slowDown', '1 fortnight'],
  ['headers', 'none'],
  ['storage', 'redis//127.0.0.1'],
  ['lease', { size: 0 }],
])('a mistake in %s at the top is reported once, whatever number of limiters', (key, value) => {
  const alone = said({ [key]: value, limits: '1/hour' })
  expect(alone).toHaveLength(1)
  const found = said({ [key]: value, limiters: LIMITERS, routes: ROUTES })
  expect(found).toEqual(alone)
  expect(found[0]?.[0]).toMatch(new RegExp(`^${key}`))
  // Those that do not inherit it are looked at, and each mistake of their own is reported.
  const own = { limits: '1/hour', [key]: value }
  const both = said({ [key]: value, limiters: { ...LIMITERS, own }, routes: ROUTES })
  expect(both.map(([path]) => path.replace(/[[.]\d.*|\.(?:size|proxies).*/, ''))).toEqual([
    key,
    `limiters.own.${key}`,
  ])
})

test('options at the top that do not go together are reported once', () => {
  const top = { slowDown: '1 second', countWhen: 'success' }
  const found = said({ ...top, limiters: LIMITERS, routes: ROUTES })
  expect(found).toEqual([['slowDown', expect.stringMatching(/^slowDown must be left out beside/)]])
  // One of them may be right for a limiter of its own.
  const login = { limits: '1/hour', countWhen: 'success' }
  const part = { slowDown: '1 second', limiters: { ...LIMITERS, login }, routes: ROUTES }
  expect(said(part).map(([path]) => path)).toEqual(['limiters.login'])
  // Each limiter that is wrong by itself is reported.
  const window = { limits: '1/hour', burst: 5 }
  const each = said({
    algorithm: 'fixed-window',
    limiters: { a: window, b: window, c: LIMITERS.api },
    routes: { '*': 'c' },
  })
  expect(each.map(([path]) => path)).toEqual(['limiters.a', 'limiters.b'])
  const policy = { limits: '1/hour', policy: ['one', 'two'] }
  const named = said({ limiters: { a: policy, b: policy }, routes: { '*': 'a' } })
  expect(named.map(([path]) => path)).toEqual(['limiters.a', 'limiters.b'])
  const twice = { limits: '1/hour', name: 'x', scope: 'y' }
  const mixed = { a: twice, b: { ...twice, scope: undefined }, c: { ...twice, name: 'z' } }
  expect(said({ limiters: mixed, routes: { '*': 'a' } }).map(([path]) => path)).toEqual([
    'limiters.a',
    'limiters.c',
  ])
})

test('a mistake of the program beside a file is reported once', async () => {
  const config = await load(file({ limiters: LIMITERS, routes: ROUTES }).path)
  const error = await serve('Express 5', { config, trust: ['10.0.0.0/99'] as never }).catch(
    (found) => found,
  )
  expect(error.errors).toHaveLength(1)
  expect(error.errors[0]).toMatchObject({ path: 'trust', line: undefined })
})
