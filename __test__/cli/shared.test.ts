import { execFile } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ConcurrencyLimiter, RateLimiter } from 'ratethrottle'
import { insight } from 'ratethrottle/insight'
import { afterAll, expect, it } from 'vitest'
import { ROOT } from '../fixtures/child.ts'
import { actAndStay, DIRECTORY, fileOf, freshName, mayUnshare } from '../shared/place.ts'
import { call, callHere } from './calls.ts'

const MAIN = join(ROOT, 'dist/cli/main.js')
const exec = promisify(execFile)

const shared = (...args: string[]) => call(['shared', ...args])

/** In this process, which saves seconds. It looks once which processes have mapped what. */
const sharedHere = (...args: string[]) => callHere('shared', ...args)

const strange = join(DIRECTORY, `odd \u001b[31m${process.pid}`)
afterAll(() => fs.rmSync(strange, { force: true }))

it('shared list prints each table with its processes, load and denied keys', async () => {
  const name = freshName()
  const limiter = new RateLimiter('4/day', { name, shared: true, capacity: 1_000 })
  for (let i = 0; i < 100; i++) limiter.allow(`k${i}`, i < 10 ? 4 : 1)
  limiter.block('banned', 60_000)
  const [child] = await actAndStay({ limits: '4/day', options: { name, capacity: 1_000 } })
  const { out } = await shared('list', '--json')
  const [entry] = JSON.parse(out).filter((found: { name?: string }) => found.name === name)
  expect(entry).toMatchObject({ capacity: 1_000, algorithm: 'token-bucket', evictions: 0 })
  expect(entry.limits).toMatchObject([{ count: 4, owing: 90, denied: 10, blocked: 1 }])
  expect(entry.processes.toSorted()).toEqual([process.pid, child.pid].toSorted())
  const line = (await shared('list')).out.split('\n').find((found) => found.includes(name))
  expect(line?.trim().split(/ {2,}/)).toEqual([
    `"${name}"`,
    '4/86400000ms token-bucket',
    ...['2', '1000', '10.1 %', '10', '1', '0'],
  ])
  child.kill('SIGKILL')
  await once(child, 'exit')
  limiter.close()
})

it('an insight that processes share is shown as what it is', async () => {
  const name = freshName()
  const view = insight({ name, shared: true })
  const line = (await shared('list')).out.split('\n').find((found) => found.includes(name))
  expect(line?.trim().split(/ {2,}/).slice(0, 3)).toEqual([`"${name}"`, 'insight', '1'])
  const { out } = await shared('show', name)
  expect(out).toMatch(/^insight +tables of 100 keys, \d+ bytes$/m)
  expect(out).not.toContain('undefined')
  view.close()
  expect((await shared('remove', name)).code).toBe(0)
})

it('permits that processes share are shown as what they are', async () => {
  const name = freshName()
  const uploads = new ConcurrencyLimiter({ perKey: 4, total: 20 }, { name, shared: true })
  for (const key of ['a', 'a', 'b']) uploads.tryAcquire(key)
  const line = (await shared('list')).out.split('\n').find((found) => found.includes(name))
  const cells = [`"${name}"`, 'permits 4 a key, 20 in all', '1', '10000', '0.0 %']
  expect(line?.trim().split(/ {2,}/).slice(0, 5)).toEqual(cells)
  const { out } = await shared('show', name)
  expect(out).toMatch(/^held +3, by 2 keys$/m)
  expect(out).not.toContain('undefined')
  uploads.close()
  expect((await shared('remove', name)).code).toBe(0)
})

it('shared show prints one table; shared remove refuses while a process is attached', async () => {
  const name = freshName()
  const limiter = new RateLimiter('4/day', { name, shared: true })
  const shown = await shared('show', name)
  expect(shown.out).toMatch(/^processes +\d+$/m)
  expect(shown.out).toContain('0 owing, 0 denied, 0 blocked')
  const file = fileOf(name)
  const refused = await shared('remove', name)
  expect(refused).toMatchObject({ code: 1, out: '' })
  expect(refused.err).toContain('processes are attached to it')
  limiter.close()
  expect(await shared('remove', name)).toMatchObject({ code: 0, err: '' })
  expect(fs.existsSync(file)).toBe(false)
  expect(await shared('remove', name)).toMatchObject({ code: 1 })
})

it('control characters are never printed, from table names, file names or arguments', async () => {
  const name = `${freshName()} \u001b[31m\u009b\u202e\n`
  const limiter = new RateLimiter('4/day', { name, shared: true })
  fs.writeFileSync(strange, 'odd')
  const printed = [
    ...['list', 'frob', '\u001b[31m'].map((verb) => sharedHere(verb)),
    ...[sharedHere('list', '--json'), sharedHere('show', name), sharedHere('show', '\u001b[31m')],
    ...[sharedHere('show', name, '--json'), sharedHere('list', '--\u001b[31m')],
  ]
  for (const { out, err } of await Promise.all(printed)) {
    expect(`${out}${err}`).toMatch(/^[\n\x20-\x7e]+$/)
  }
  limiter.close()
  expect((await sharedHere('remove', name)).code).toBe(0)
})

it('a file that is not trusted is listed with the reason, and can be removed', async () => {
  fs.writeFileSync(strange, 'odd', { mode: 0o644 })
  const { out } = await sharedHere('list')
  expect(out).toContain('not to be trusted: its mode is 0644, not 0600')
  expect(await sharedHere('remove', strange.split('/').at(-1) ?? '')).toMatchObject({ code: 0 })
  expect(fs.existsSync(strange)).toBe(false)
})

it('an unknown command or option prints the usage and exits with 2', async () => {
  for (const args of [['frob'], ['show'], ['list', 'x'], ['list', '--frob'], ['show', 'a', 'b']]) {
    const { code, out, err } = await sharedHere(...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('Usage: ratethrottle shared list')
  }
  expect((await sharedHere('--help')).out).toContain('Usage')
})

it('a folder whose name has control characters is listed without printing them', async () => {
  // What can't be removed as a file: a directory with something in it.
  const name = `odd \u001b[31m\u009b ${process.pid}`
  const limiter = new RateLimiter('1/day', { shared: true, name: freshName() })
  const folder = join(DIRECTORY, name)
  fs.mkdirSync(folder)
  fs.writeFileSync(join(folder, 'file'), '')
  try {
    for (const args of [['list'], ['list', '--json'], ['show', name], ['remove', name]]) {
      const { out, err } = await sharedHere(...args)
      expect(out + err).toContain('odd')
      expect(out + err).toMatch(/^[\n\x20-\x7e]+$/)
    }
  } finally {
    limiter.close()
    fs.rmSync(folder, { recursive: true })
  }
})

it.skipIf(!mayUnshare())('shared list makes no directory where nothing is shared', async () => {
  const look = `mount -t tmpfs none /dev/shm && "$0" "$1" shared list; ls /dev/shm`
  const where = process.geteuid?.() === 0 ? '-m' : '-rm'
  const { stdout } = await exec('unshare', [where, 'sh', '-c', look, process.execPath, MAIN])
  expect(stdout).toBe('nothing is shared\n')
})

it.skipIf(!mayUnshare())(
  'shared prune removes what cannot be used, and nothing in use',
  async () => {
    const program = join(ROOT, '__test__/cli/prune.cjs')
    const commands = 'mount -t tmpfs none /dev/shm && "$0" "$1" "$2" && "$0" "$2" shared list'
    const where = process.geteuid?.() === 0 ? '-m' : '-rm'
    const words = [where, 'sh', '-c', commands, process.execPath, program, MAIN]
    const { stdout } = await exec('unshare', words)
    const [first, second, nothing, afterwards, ...list] = stdout.split('\n')
    const [kept, removed] = [first, second].sort()
    expect(kept).toMatch(/^kept "v\d+-[\w-]+": used by \d+$/)
    expect(removed).toBe('removed "odd": its mode is 0644, not 0600')
    expect(nothing).toBe(kept)
    expect(afterwards).toMatch(/^removed "v\d+-[\w-]+": its mode is 0644, not 0600$/)
    const names = list.map((line) => line.split(' ')[0] ?? '')
    expect(names.sort()).toEqual(['', '"good"', '"guard"', 'name'])
  },
)
