import { type GrpcOptions, interceptor } from 'ratethrottle/grpc'
import { expect, test } from 'vitest'

const METHOD = '/pkg.Service/Method'

test.each<readonly [unknown, string]>([
  [
    {},
    'limits must be a limit or an array of them, or left out beside concurrent, messages or methods',
  ],
  [undefined, 'options must be an object, got undefined'],
  [[], 'options must be an object, got [array]'],
  [{ limits: undefined }, 'limits must be given, or left out, got undefined'],
  [{ limits: '1/hour', concurrent: undefined }, 'concurrent must be given, or left out'],
  [{ limits: '1/hour', messages: undefined }, 'messages must be given, or left out'],
  [{ limits: 'often' }, 'Invalid limit "often"'],
  [{ limits: () => '1/hour' }, 'limits must be a limit string'],
  [{ messages: '0/hour' }, 'Invalid limit'],
  [{ messages: 5 }, 'messages must be a limit string'],
  [{ methods: { [METHOD]: { messages: 5 } } }, `methods["${METHOD}"].messages must be a limit`],
  [{ concurrent: 0 }, 'concurrent must be an integer from 1'],
  [{ concurrent: { perKey: 1, waiting: 3 } }, 'unknown option "waiting"'],
  [{ limits: '1/hour', overflow: 'drop' }, 'overflow must be "end" or "pause", got "drop"'],
  [{ limits: '1/hour', methods: [] }, 'methods must be an object of limits by method, got [array]'],
  [{ methods: { 'pkg.Service/Method': '1/hour' } }, 'a name in methods must be a method as'],
  [{ methods: { '/pkg.Service/*x': '1/hour' } }, 'a name in methods must be'],
  [{ methods: { '/*': '1/hour' } }, 'a name in methods must be'],
  [
    { methods: { [METHOD]: {} } },
    `methods["${METHOD}"] must be a limit, an array of them, or { limits,`,
  ],
  [{ methods: { [METHOD]: undefined } }, `methods["${METHOD}"] must be`],
  [{ methods: { [METHOD]: 5 } }, `methods["${METHOD}"] must be`],
  [{ methods: { [METHOD]: { limits: undefined } } }, `methods["${METHOD}"].limits must be given`],
  [{ methods: { [METHOD]: { limit: '1/hour' } } }, 'unknown option "limit"; known are limits,'],
  [{ methods: { [METHOD]: { overflow: 'x' } } }, `methods["${METHOD}"].overflow must be`],
  ...['burst', 'blockFor', 'algorithm'].map(
    (name) =>
      [
        { concurrent: 1, [name]: name === 'burst' ? 3 : 'leaky-bucket' },
        `${name} must be given together with limits or messages, or left out`,
      ] as const,
  ),
  [{ limits: '1/hour', overflow: 'pause' }, 'overflow must be given together with messages'],
  [
    { limits: '1/hour', methods: { [METHOD]: { overflow: 'pause', limits: '1/hour' } } },
    `methods["${METHOD}"].overflow must be given together with messages`,
  ],
  [
    { limits: '1/hour', skip: 'Health' },
    'skip must be a list of methods or a function, got "Health"',
  ],
  [{ limits: '1/hour', skip: ['Health'] }, 'skip[0] must be a method as "/pkg.Service/Method"'],
  [{ limits: '1/hour', key: 'x-api-key' }, 'key must be a function'],
  [{ limits: '1/hour', trust: true }, 'trust: true would accept X-Forwarded-For from any client'],
  [{ limits: '1/hour', missingKey: 'skip' }, 'missingKey must be "deny", "shared" or "ip"'],
  [{ limits: '1/hour', onDeny: 1 }, 'onDeny must be a function'],
  [{ limits: '1/hour', shield: true }, 'shield must be options of a shield, or a guard'],
  [{ limits: '1/hour', headers: 'draft' }, 'unknown option "headers"'],
  [{ limits: '1/hour', countWhen: 'failure' }, 'unknown option "countWhen"'],
])('options are checked: %#', (options, message) => {
  expect(() => interceptor(options as GrpcOptions)).toThrow(
    expect.objectContaining({
      message: expect.stringContaining(message),
      code: expect.stringMatching(/^INVALID_(OPTION|LIMIT|ARGUMENT)$/),
    }),
  )
})

test('what is inherited is no option', () => {
  const polluted = Object.create({ limits: '1/hour', dryRun: true }) as GrpcOptions
  expect(() => interceptor(polluted)).toThrow('limits must be')
})

test('an interceptor shows no secret when it is printed', async () => {
  const { inspect } = await import('node:util')
  const made = interceptor({ limits: '1/hour', storage: 'redis://ada:swordfish@127.0.0.1:1/0' })
  expect(inspect(made, { depth: 20, showHidden: true })).not.toContain('swordfish')
  made.close()
})
