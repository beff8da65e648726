import { expect, it } from 'vitest'
import { serverForTest } from '../redis/server.ts'
import { run } from './command.ts'
import { folderOf, programOf } from './place.ts'

// Runtimes that are not Node: the tarball as their users install it.

/** What a program on Deno must be allowed: `ffi` for the addon, `sys` to find out which one. */
const DENO = ['run', '--no-prompt', ...['ffi', 'read', 'env', 'sys'].map((one) => `--allow-${one}`)]

const RUNTIMES = [
  ['bun', []],
  ['deno', DENO],
] as const

it.each(RUNTIMES)('%s counts in memory, in shared memory and in Redis', async (name, words) => {
  const { url } = await serverForTest()
  const net = name === 'deno' ? [...words, '--allow-net=127.0.0.1'] : words
  const printed = await run(programOf(name), [...net, 'tiers.mjs', url], folderOf('all'))
  expect(printed).toBe(
    'memory true true false\nshared true true false\nredis true true false true\n',
  )
})

it('deno counts in memory and shared memory without the network', async () => {
  const printed = run(programOf('deno'), [...DENO, 'tiers.mjs', 'memory:'], folderOf('all'))
  expect(await printed).toContain('shared true true false\nredis true true false')
})

it.each(RUNTIMES)(
  '%s: of 200 clients at once exactly the limit reach the handler of a real server; waiting as told helps',
  async (name, words) => {
    const net = name === 'deno' ? [...words, '--allow-net=127.0.0.1'] : words
    const printed = await run(programOf(name), [...net, 'web.mjs'], folderOf('all'))
    expect(printed).toBe(
      'web 25 25\nhono 25 25\ntold to wait 429 then 200\npermits 200 200 429 then 200\n',
    )
  },
)
