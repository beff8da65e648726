import { checkConfig, loadConfig } from 'ratethrottle/config'
import { expect, test } from 'vitest'
import { byLength } from '../fixtures/long.ts'
import { serve } from '../http/serve.ts'
import { file } from './files.ts'
import { HOSTILE } from './hostile.ts'

const env = { RECURSIVE: '${RECURSIVE}', LONG: 'x'.repeat(100_000), SECRET: 'hunter2-hunter2' }

test('each of more than 200 hostile files is refused, with a line and what to do', () => {
  expect(HOSTILE.length).toBeGreaterThan(200)
  const wrong: string[] = []
  const slowest = { ms: 0, name: '' }
  for (const { name, file: path, bytes } of HOSTILE) {
    const before = process.cpuUsage()
    const { ok, errors } = checkConfig(bytes, path, { env })
    const { user, system } = process.cpuUsage(before)
    const tookMs = (user + system) / 1_000
    const [first] = errors
    const isFull = first !== undefined && first.message.length > 15 && first.message.length < 2_500
    const isOneLine = errors.every(({ text }) => /^[\x20-\x7e]*$/.test(text))
    const hasLine = first?.line !== undefined || Buffer.from(bytes).length > 1_048_576
    if (tookMs > slowest.ms) Object.assign(slowest, { ms: tookMs, name })
    if (ok || !isFull || !isOneLine || !hasLine) wrong.push(`${name}: ${ok} ${first?.text}`)
  }
  expect(wrong).toEqual([])
  console.log(`${HOSTILE.length} files; the slowest took`, slowest)
  // A figure of time, of this process alone: not where tests share a machine.
  expect(slowest.ms).toBeLessThan(byLength(Number.POSITIVE_INFINITY, 100))
  expect(Object.keys(Object.prototype)).toEqual([])
  expect(({} as { limits?: unknown }).limits).toBeUndefined()
})

test('what is wrong once is said once, where it stands', () => {
  const messages = (text: string) => checkConfig(text, 'x.json').errors.map((one) => one.path)
  expect(messages('{"limits":"100/minit"}')).toEqual(['limits'])
  const two = '"limiters":{"a":{"limits":"1/s"},"b":{"limits":"1/s"}},"routes":{"*":"a"}'
  expect(messages(`{"trust":"all",${two}}`)).toEqual(['trust'])
  expect(messages(`{"scope":"all",${two}}`)).toEqual(['scope'])
})

test('no message and no print shows what a variable says', async () => {
  const secret = 'hunter2-hunter2'
  const texts = [
    '{"limits":"${SECRET}"}',
    '{"limits":"1/second","storage":"${SECRET}"}',
    '{"limits":"1/second","storage":"redis://u:${SECRET}@h:port"}',
    '{"limits":"1/second","blockFor":"${SECRET}"}',
    '{"limits":"1/second","allow":["10.0.0.0/8","${SECRET}"]}',
    '{"limits":"1/second","algorithm":"${SECRET}"}',
    '{"limits":"1/second","burst":"${SECRET}"}',
    '{"limits":"1/second","policy":"${SECRET}\u00e4"}',
    '{"limits":"1/second","scope":"${SECRET}","name":"${SECRET}"}',
    '{"limits":"1/second","shield":{"maxRate":"${SECRET}"}}',
    '{"limits":"1/second","shield":{"blocks":{"storage":"${SECRET}"}}}',
    '{"limiters":{"a":{"limits":"1/s"}},"routes":{"*":"${SECRET}"}}',
    '{"limits":"1/second","keyPrefix":"${SECRET}{"}',
    '{"limits":"1/second","methods":["${SECRET}!"]}',
    '{"limits":"1/second","trust":"${SECRET}"}',
    '{"limits":["1/second","${SECRET}"],"unknown":"${SECRET}"}',
  ]
  for (const text of texts) {
    const result = checkConfig(text, 'x.json', { env })
    expect(result.ok, text).toBe(false)
    expect(JSON.stringify(result), text).not.toContain('hunter')
    const error = await loadConfig(file(text).path, { env }).catch((found) => found)
    expect(`${error.stack}${JSON.stringify(error)}`, text).not.toContain('hunter')
  }
  const good = '{"limits":"1/second","message":"${SECRET}","keyPrefix":"${SECRET:-x}"}'
  const config = await loadConfig(file(good).path, { env })
  const { inspect } = await import('node:util')
  const printed = [
    JSON.stringify(config),
    inspect(config, { depth: 9, showHidden: true }),
    JSON.stringify(config.state()),
  ]
  expect(printed.join()).not.toContain(secret)
  expect(config.toJSON()).toMatchObject({ message: '${SECRET}', keyPrefix: '${SECRET:-x}' })
  config.close()
})

test('variables: defaults, escapes, numbers and words; nothing is looked into again', () => {
  const text = (inner: string) => `{"limits":"1/second",${inner}}`
  const written = (inner: string, variables: Record<string, string>) => {
    const { ok, errors } = checkConfig(text(inner), 'x.json', { env: variables })
    return ok ? 'accepted' : errors[0]?.message
  }
  expect(written('"status":"${S}"', { S: '503' })).toBe('accepted')
  expect(written('"status":"${S:-503}"', {})).toBe('accepted')
  expect(written('"status":"${S:-503}"', { S: '' })).toBe('accepted')
  expect(written('"dryRun":"${D}"', { D: 'true' })).toBe('accepted')
  expect(written('"dryRun":"x${D}"', { D: 'true' })).toMatch(/must be true or false/)
  expect(written('"message":"${M}"', { M: '5' })).toBe('accepted')
  expect(written('"message":"$${M}"', {})).toBe('accepted')
  expect(written('"message":"${M}"', { M: '${N}' })).toBe('accepted')
  expect(written('"message":"${M}"', {})).toMatch(
    /must have the variable M; write \$\{M:-default\}/,
  )
  expect(written('"message":"${__proto__}"', {})).toMatch(/must have the variable __proto__/)
  expect(written('"message":"${constructor}"', {})).toMatch(/must have the variable constructor/)
})

test('what would be a good file but for one thing is refused for that', () => {
  const good = '{"limits":"1/second"}'
  const said = (bytes: string | Uint8Array, path = 'x.json') =>
    checkConfig(bytes, path, { env }).errors[0]?.message
  expect(said(good)).toBeUndefined()
  expect(said(`\ufeff${good}`)).toMatch(/without a byte order mark: save it as UTF-8 without BOM/)
  expect(said(`${good}${' '.repeat(1_048_576)}`)).toMatch(/at most 1 MB/)
  expect(said(Buffer.from(good, 'utf16le'))).toMatch(/no control characters, got U\+0000/)
  expect(said(Buffer.from(`\ufeff${good}`, 'utf16le'))).toMatch(/must be UTF-8, and it is UTF-16/)
  expect(said('{"limits":"1/second","message":"a\u202eb"}')).toMatch(
    /no control characters, got U\+202E/,
  )
  expect(said('limits: 1/second\nmessage: a\u2066b', 'x.yaml')).toMatch(
    /no control characters, got U\+2066/,
  )
  expect(said(good, 'x.toml')).toMatch(/must end in \.json, \.yaml or \.yml/)
  expect(said('limits: 1/second\nstatus: 420', 'x.YML')).toBeUndefined()
  expect(said('limits: 1/second\r\nstatus: 42\r\n', 'x.yaml')).toMatch(
    /status must be an integer from 400 to 599, got 42/,
  )
})

test('a variable is looked into once', async () => {
  const config = await loadConfig(file('{"limits":"1/hour","message":"${M}, $${M}"}').path, {
    env: { M: '${M} ${N}' },
  })
  const served = await serve('node:http', { config })
  await served.ask('/')
  expect(JSON.parse((await served.ask('/')).body).message).toBe('${M} ${N}, ${M}')
  config.close()
})
