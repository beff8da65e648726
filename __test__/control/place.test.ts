import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ask } from '../../dist/control/client.js'
import { findSockets } from '../../dist/control/directory.js'
import { run } from '../fixtures/child.ts'
import { exchange, folder, serve, stop } from './services.ts'

const STRANGER = 65_534
const isRoot = process.geteuid?.() === 0
const SHOW = '{"command":"show","key":"a"}\n'

it('the socket is 0600, in a directory that is 0700, whatever the umask', async () => {
  const runtime = folder()
  const { path } = await serve({ control: true, runtime, umask: 0 })
  expect(path).toMatch(/\/ratethrottle\/control-\d+\.sock$/)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(join(path, '..')).mode & 0o7777).toBe(0o700)
  expect(readdirSync(join(path, '..'))).toEqual([path.split('/').at(-1)])
})

it.runIf(isRoot)('another user is refused, in every kind of place', async () => {
  const open = folder(0o755)
  const places = [true, { path: join(open, 'api.sock') }, { path: folder(0o1777) }]
  for (const control of places) {
    const { path } = await serve({ control, runtime: folder(0o755), umask: 0 })
    const { out } = await run('control/stranger.mjs', [`${STRANGER}`, path])
    expect(JSON.parse(out)).toEqual({ connected: 'EACCES', asked: 'CONTROL_GONE' })
    expect(await exchange(path, SHOW)).toMatchObject([{ ok: true }])
  }
})

it.runIf(isRoot)('a directory that other users could change is refused', async () => {
  const plant = (name: string, make: (path: string) => void): Promise<unknown> => {
    const runtime = folder()
    make(join(runtime, 'ratethrottle'))
    return serve({ control: true, runtime }).then(
      ({ code, message }) => `${name}: ${code} ${message}`,
    )
  }
  const other = folder()
  expect(
    await Promise.all([
      plant('link', (path) => symlinkSync(other, path)),
      plant('mode', (path) => {
        mkdirSync(path)
        chmodSync(path, 0o755)
      }),
      plant('owner', (path) => {
        mkdirSync(path, { mode: 0o700 })
        chownSync(path, STRANGER, STRANGER)
      }),
      plant('file', (path) => writeFileSync(path, '')),
    ]),
  ).toEqual([
    expect.stringMatching(/^link: CONTROL_UNTRUSTED .*: it is not a directory$/),
    expect.stringMatching(/^mode: CONTROL_UNTRUSTED .*: its mode is 0755, not 0700$/),
    expect.stringMatching(/^owner: CONTROL_UNTRUSTED .*: it belongs to user 65534, not to user 0$/),
    expect.stringMatching(/^file: CONTROL_UNTRUSTED .*: it is not a directory$/),
  ])
  const path = join(folder(0o777), 'api.sock')
  const { code, message } = await serve({ control: { path } })
  expect(`${code} ${message}`).toMatch(/^CONTROL_UNTRUSTED .*: other users may write to it$/)
})

it.runIf(isRoot)('a runtime directory of another user is not used', async () => {
  const runtime = folder()
  chownSync(runtime, STRANGER, STRANGER)
  const { path } = await serve({ control: true, runtime })
  expect(path).toMatch(/^\/tmp\/ratethrottle-0\/control-\d+\.sock$/)
})

it('sockets of killed processes are replaced, those of living ones are not', async () => {
  const runtime = folder()
  const [killed, living] = await Promise.all([
    serve({ control: true, runtime }),
    serve({ control: true, runtime }),
  ])
  await stop(killed.child)
  expect(existsSync(killed.path)).toBe(true)
  const next = await serve({ control: true, runtime })
  await expect.poll(() => existsSync(killed.path)).toBe(false)
  const found = findSockets({ XDG_RUNTIME_DIR: runtime }).filter(({ path }) =>
    path.startsWith(runtime),
  )
  expect(found.map(({ pid }) => pid).sort()).toEqual([living.pid, next.pid].sort())
  for (const { path, pid } of found)
    expect(await ask(path, { command: 'about' })).toMatchObject({ pid })
})

it('at one path, a dead socket is replaced, and a living one and other files are left alone', async () => {
  const path = join(folder(), 'api.sock')
  const first = await serve({ control: { path } })
  const second = await serve({ control: { path } })
  expect(second).toMatchObject({
    isReady: false,
    warnings: [expect.stringMatching(/^RATETHROTTLE_CONTROL: .* is in use/)],
  })
  expect(await ask(path, { command: 'about' })).toMatchObject({ pid: first.pid })
  await stop(first.child)
  const third = await serve({ control: { path } })
  expect(third).toMatchObject({ isReady: true, warnings: [] })
  expect(await ask(path, { command: 'about' })).toMatchObject({ pid: third.pid })
  // One that ends later does not take the other's socket with it.
  second.child.stdin?.end()
  await expect.poll(() => second.child.exitCode).toBe(0)
  expect(await ask(path, { command: 'about' })).toMatchObject({ pid: third.pid })
  expect(readdirSync(join(path, '..'))).toEqual(['api.sock'])
  const file = join(folder(), 'file')
  writeFileSync(file, 'mine')
  expect(await serve({ control: { path: file } })).toMatchObject({ isReady: false })
  expect(statSync(file).size).toBe(4)
})
