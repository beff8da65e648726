import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { connect, type Kind, serve } from './serve.ts'

const METHODS = { unary: 'Unary', upload: 'Upload', download: 'Download', chat: 'Chat' } as const
const path = (kind: Kind, service = 'test.Echo') => `/${service}/${METHODS[kind]}`

/** How many of ten calls are admitted. */
async function admitted(ask: ReturnType<typeof connect>['ask'], kind: Kind, more: object = {}) {
  let count = 0
  for (let i = 0; i < 10; i++) if ((await ask(kind, more)).code === status.OK) count++
  return count
}

// D61: RateThrottle computes the limits of a method and then ignores them.
test('a method has its own limits in place of the others, which do not count its calls', async () => {
  const { port, seen } = await serve({
    limits: '3/hour',
    methods: {
      [path('unary')]: '5/hour',
      [path('chat')]: { limits: ['4/hour', '2/minute'] },
      [path('upload')]: [{ count: 1, windowMs: 3_600_000 }],
    },
  })
  const { ask } = connect(port)
  expect(await admitted(ask, 'unary')).toBe(5)
  expect(await admitted(ask, 'chat')).toBe(2)
  expect(await admitted(ask, 'upload')).toBe(1)
  expect(await admitted(ask, 'download')).toBe(3)
  expect(seen.runs).toBe(11)
})

test('methods without limits of their own have one budget in common', async () => {
  const { port } = await serve({
    limits: '3/hour',
    methods: { [path('chat')]: { messages: '100/hour' } },
  })
  const { ask } = connect(port)
  const counts = [
    await admitted(ask, 'unary'),
    await admitted(ask, 'chat'),
    await admitted(ask, 'upload'),
  ]
  expect(counts).toEqual([3, 0, 0])
})

test('a service is limited as a whole, except for methods that are named', async () => {
  const { port } = await serve(
    { methods: { '/other.Echo/*': '3/hour', [path('upload', 'other.Echo')]: '1/hour' } },
    { services: ['test.Echo', 'other.Echo'] },
  )
  const { ask } = connect(port)
  const other = { service: 'other.Echo' }
  expect(await admitted(ask, 'unary')).toBe(10)
  expect(await admitted(ask, 'upload', other)).toBe(1)
  expect((await admitted(ask, 'unary', other)) + (await admitted(ask, 'chat', other))).toBe(3)
})

test('permits of a method are its own, and its limits those of all', async () => {
  const { port, seen, release } = await serve({
    limits: '100/hour',
    concurrent: 1,
    methods: { [path('download')]: { concurrent: 2 } },
  })
  const { ask } = connect(port)
  const held = ['unary', 'download', 'download'].map((kind) =>
    ask(kind as Kind, { messages: ['hold'] }),
  )
  while (seen.runs < 3) await new Promise(setImmediate)
  expect((await ask('download')).details).toBe('Too many requests at a time, retry in 1 second')
  expect((await ask('unary')).code).toBe(status.RESOURCE_EXHAUSTED)
  release()
  for (const { code } of await Promise.all(held)) expect(code).toBe(status.OK)
  expect((await ask('download')).code).toBe(status.OK)
})

test.each([
  [['/test.Echo/Unary', '/test.Echo/Chat']],
  [['/test.Echo/*']],
  [({ method }: { method: string }) => method === '/test.Echo/Unary'],
  [
    async ({ metadata }: { metadata: { get(name: string): unknown[] } }) =>
      metadata.get('x-probe').length > 0,
  ],
])('skip: those calls are not counted: %#', async (skip) => {
  const { port } = await serve({ limits: '2/hour', concurrent: 1, skip })
  const { ask } = connect(port)
  expect(await admitted(ask, 'unary', { metadata: { 'x-probe': '1' } })).toBe(10)
})

test.each([
  [() => Promise.reject(new Error('broken')), 3],
  [
    () => {
      throw new Error('broken')
    },
    3,
  ],
  // As in HTTP: only `true` exempts.
  [() => 'yes', 0],
])('a skip function that fails exempts no call: %#', async (skip, failures) => {
  const errors: unknown[] = []
  const onError = ({ error }: { error: unknown }) => errors.push(error)
  const { port, seen } = await serve({ limits: '2/hour', skip: skip as never, onError })
  const { ask } = connect(port)
  const codes: number[] = []
  for (let i = 0; i < 3; i++) codes.push((await ask('unary')).code)
  expect(codes).toEqual([0, 0, status.RESOURCE_EXHAUSTED])
  expect(seen.runs).toBe(2)
  expect(errors).toHaveLength(failures)
})
