import { METHODS } from 'node:http'
import { checkConfig } from 'ratethrottle/config'
import { expect, test } from 'vitest'

/** What is said about a file, without its name. */
function said(text: string, env: Record<string, string> = {}, path = 'x.yaml'): string[] {
  return checkConfig(text, path, { env }).errors.map((one) => one.text.replace(/^x\.\w+:/, ''))
}

test('a missing variable is one mistake, whatever it stands for', () => {
  const missing = (path: string, name: string): string =>
    `${path}: the environment must have the variable ${name}; write \${${name}:-default} if it may be missing`
  expect(said('storage: ${URL}\nlimits: 1/second')).toEqual([`1:10: ${missing('storage', 'URL')}`])
  expect(said('limits: ${L}')).toEqual([`1:9: ${missing('limits', 'L')}`])
  expect(said('limits: [1/second, "${L}"]')).toEqual([`1:20: ${missing('limits[1]', 'L')}`])
  expect(said('limits: 1/second\nburst: ${B}')).toEqual([`2:8: ${missing('burst', 'B')}`])
  expect(said('limiters: { a: { limits: 1/s } }\nroutes: { "*": "${T}" }')).toEqual([
    `2:16: ${missing('routes.*', 'T')}`,
  ])
  expect(said('limits: 1/second\nshield: { maxRate: "${R}" }')).toEqual([
    `2:20: ${missing('shield.maxRate', 'R')}`,
  ])
})

test('a variable that is there and wrong is still a mistake, beside one that is missing', () => {
  const found = said('storage: ${URL}\nlimits: ${L}\nburst: 0', { L: 'often' })
  expect(found.map((one) => one.split(' ')[1])).toEqual(['storage:', 'limits', 'burst'])
  expect(found[1]).toContain('got what ${L} says')
})

test('a mistake in an option of all limiters is told once', () => {
  const limiters = 'limiters: { a: { limits: 1/s }, b: { limits: 2/s } }\nroutes: { "*": a }'
  for (const [option, value] of Object.entries({
    trust: '["0.0.0.0/0"]',
    status: '42',
    blockFor: '5x',
  })) {
    const found = said(`${option}: ${value}\n${limiters}`)
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(new RegExp(`^1:\\d+: ${option}`))
  }
  expect(said('limits: 0/minute')).toHaveLength(1)
  // Another mistake, of one limiter, is told beside it.
  expect(said(`status: 42\n${limiters.replace('2/s', '2/s, burst: 0')}`)).toHaveLength(2)
})

test('a shield or an insight with a mistake hides none of a limiter', () => {
  const text = 'shield: { mode: block }\ninsight: { keys: clear }\nlimits: 1/s\npolicy: [a, b]'
  expect(said(text)).toHaveLength(3)
})

test('a misspelt limiter in a route gets a suggestion, also of one that has a mistake itself', () => {
  const text =
    'limiters: { api: { limits: 1/s }, search: { limit: 2/s } }\nroutes: { /s: serach, "*": api }'
  expect(said(text).at(-1)).toBe(
    "2:15: routes./s must be the name of a limiter ('api', 'search'), or false for no limit, got \"serach\"; did you mean search?",
  )
  expect(said(text.replace('serach', 'search')).join()).not.toContain('routes')
  const variable = text.replace('serach', '"${TARGET}"')
  expect(said(variable, { TARGET: 'serach' }).join()).not.toMatch(/serach|did you mean search/)
})

test.each([
  ['limiters: { a: { limits: 1/s } }\nroutes:\n  *: a'],
  ['limiters: { a: { limits: 1/s } }\nroutes: { *: a }'],
  ['limiters: { a: { limits: 1/s } }\nroutes:\n  /x: false\n  * : a'],
])('an asterisk without quotes is explained: %j', (text) => {
  expect(said(text)[0]).toMatch(/^[2-4]:\d+: YAML: .*: put \* into quotes, as in '\*': api$/)
  expect(said(text)[0]).toContain("'*': api")
})

test.each([
  ['GETT', 'did you mean GET?'],
  ['PSOT', 'did you mean POST?'],
  ['delte', 'did you mean DELETE?'],
  ['FROBNICATE', 'write the path alone for all methods'],
])(
  'a route with a method that does not exist is refused, as it would count no request: %s',
  (method, hint) => {
    const text = `limiters: { a: { limits: 1/s } }\nroutes: { "${method} /x": a, "*": a }`
    expect(said(text)).toHaveLength(1)
    expect(said(text)[0]).toContain(`there is no method "${method.toUpperCase()}"; ${hint}`)
  },
)

test('every method that Node knows is a route, in any case, and the newest one', () => {
  for (const method of [...METHODS.filter((one) => one !== 'HEAD'), 'QUERY', 'patch']) {
    expect(said(`limits: 1/s\nroutes: { "${method} /x": false, "*": default }`), method).toEqual([])
  }
})

test('a function is to be given by the program', () => {
  expect(said('limits: 1/s\nkey: user')).toEqual([
    '2:1: key must be a function: give it beside config in the program, or use defineConfig',
  ])
})

const LIMITERS = { api: { limits: '2/hour' }, login: { limits: '1/hour' } }
const ROUTES = { 'POST /login': 'login', '*': 'api' }

/** Paths and messages of what is wrong. */
function wrongIn(content: object): (readonly [string, string])[] {
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
  const alone = wrongIn({ [key]: value, limits: '1/hour' })
  expect(alone).toHaveLength(1)
  const found = wrongIn({ [key]: value, limiters: LIMITERS, routes: ROUTES })
  expect(found).toEqual(alone)
  expect(found[0]?.[0]).toMatch(new RegExp(`^${key}`))
  // Those that do not inherit it are looked at, and each mistake of their own is reported.
  const own = { limits: '1/hour', [key]: value }
  const both = wrongIn({ [key]: value, limiters: { ...LIMITERS, own }, routes: ROUTES })
  expect(both.map(([path]) => path.replace(/[[.]\d.*|\.(?:size|proxies).*/, ''))).toEqual([
    key,
    `limiters.own.${key}`,
  ])
})

test('options at the top that do not go together are reported once', () => {
  const top = { slowDown: '1 second', countWhen: 'success' }
  const found = wrongIn({ ...top, limiters: LIMITERS, routes: ROUTES })
  expect(found).toEqual([['slowDown', expect.stringMatching(/^slowDown must be left out beside/)]])
  // One of them may be right for a limiter of its own.
  const login = { limits: '1/hour', countWhen: 'success' }
  const part = { slowDown: '1 second', limiters: { ...LIMITERS, login }, routes: ROUTES }
  expect(wrongIn(part).map(([path]) => path)).toEqual(['limiters.login'])
  // Each limiter that is wrong by itself is reported.
  const window = { limits: '1/hour', burst: 5 }
  const each = wrongIn({
    algorithm: 'fixed-window',
    limiters: { a: window, b: window, c: LIMITERS.api },
    routes: { '*': 'c' },
  })
  expect(each.map(([path]) => path)).toEqual(['limiters.a', 'limiters.b'])
  const policy = { limits: '1/hour', policy: ['one', 'two'] }
  const named = wrongIn({ limiters: { a: policy, b: policy }, routes: { '*': 'a' } })
  expect(named.map(([path]) => path)).toEqual(['limiters.a', 'limiters.b'])
  const twice = { limits: '1/hour', name: 'x', scope: 'y' }
  const mixed = { a: twice, b: { ...twice, scope: undefined }, c: { ...twice, name: 'z' } }
  expect(wrongIn({ limiters: mixed, routes: { '*': 'a' } }).map(([path]) => path)).toEqual([
    'limiters.a',
    'limiters.c',
  ])
})
