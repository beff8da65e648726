import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { file, load } from './files.ts'

test('a storage that only the program asks has to answer too', async () => {
  const content = file({ limits: '2/hour' })
  const config = await load(content.path)
  const api = config.limiter('default')
  const storage = 'redis://127.0.0.1:1/0'
  content.write({ limits: '9/hour', storage, connectTimeoutMs: 50 })
  const { ok, errors } = await config.reload()
  expect([ok, errors[0]?.message]).toEqual([
    false,
    expect.stringMatching(/^limiters\.default can't be opened: its storage does not answer/),
  ])
  expect((await api.check('key')).remaining).toBe(1)
})

test('of limiters that are opened together, all are closed if one of them fails', () => {
  const { openEach } = createRequire(`${process.cwd()}/`)('./dist/config/serving.js')
  const closed: string[] = []
  const open = (name: string) => {
    if (name === 'last') throw new Error('no room')
    return { close: () => closed.push(name) }
  }
  const names = ['kept', 'one', 'two', 'last']
  const limiters = new Map(names.map((name) => [name, { limits: '1/hour' }]))
  const before = new Map([['kept', { options: { limits: '1/hour' }, limiter: open('kept') }]])
  expect(() => openEach({ limiters }, before, open)).toThrow('no room')
  expect(closed).toEqual(['one', 'two'])
})
