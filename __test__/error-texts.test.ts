import { execFile } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLimiter, RateLimiter } from 'ratethrottle'
import { rateThrottle } from 'ratethrottle/http'
import { expect, test } from 'vitest'

const MAIN = join(process.cwd(), 'dist/cli/main.js')
const HERE = join(process.cwd(), '__test__/fixtures')
const DIRECTORY = `/dev/shm/ratethrottle-${process.geteuid?.()}`

interface Ended {
  readonly code: number
  readonly out: string
}

/** What a program printed, on both of its streams. */
function run(file: string, args: readonly string[], env: object = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { timeout: 90_000, env: { ...process.env, ...env } }
    execFile(file, args, options, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: `${out}${err}` })
    })
  })
}

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return 'nothing was thrown'
}

test.each(['5', '5 parsecs', '05 minutes', '', 'fortnight'])(
  'a duration %j is explained as a duration, not as a limit',
  (text) => {
    const wrong: [string, () => unknown][] = [
      ['blockFor', () => new RateLimiter('1/s', { blockFor: text })],
      ['slowDown', () => rateThrottle({ limits: '1/s', slowDown: text })],
      ['blockFor[1]', () => rateThrottle({ limits: '1/s', blockFor: ['1 minute', text] })],
    ]
    for (const [name, make] of wrong) {
      const message = messageOf(make)
      expect(message).toContain(name)
      expect(message).not.toContain('/minute')
      expect(message).not.toContain('/15 minutes')
      expect(message).toContain('minutes')
    }
  },
)

test('a limit is still explained as a limit', () => {
  expect(messageOf(() => new RateLimiter('5/parsec' as string))).toContain('100/minute')
  expect(messageOf(() => new RateLimiter('1/s', { blockFor: '5' }))).not.toContain('100/minute')
})

test.each([
  'hunter2secret',
  'hunter2:6379',
  'user:hunter2@host:6379',
  'hunter2@host',
  'shared:://hunter2@'.padEnd(99, 'x'),
])('a storage text that may be a password is not shown: %s', (text) => {
  const user = text.split(/[:@]/, 1)[0] ?? ''
  const makers: (() => unknown)[] = [
    () => createLimiter({ limits: '1/s', storage: text }),
    () => rateThrottle({ limits: '1/s', storage: text }),
    () => rateThrottle({ limits: '1/s', RATELIMIT_STORAGE_URL: text }),
  ]
  for (const make of makers) {
    const message = messageOf(make)
    expect(message).not.toContain('hunter2')
    if (user !== 'shared') expect(message).not.toMatch(new RegExp(`got.*${user}|not.*"${user}`))
    expect(message).toMatch(/memory:|shared:api/)
  }
})

test("the command prints no control character of a file's name", async () => {
  const name = `odd \u001b[31m\u009b ${process.pid}`
  await run(process.execPath, [MAIN, 'shared', 'list'])
  const limiter = new RateLimiter('1/day', { shared: true, name: `words ${process.pid}` })
  // What can't be removed as a file: a directory with something in it.
  const { mkdirSync } = await import('node:fs')
  const folder = join(DIRECTORY, name)
  mkdirSync(folder)
  writeFileSync(join(folder, 'file'), '')
  try {
    for (const args of [['list'], ['list', '--json'], ['show', name], ['remove', name]]) {
      const { out } = await run(process.execPath, [MAIN, 'shared', ...args])
      expect(out).toContain('odd')
      expect(out).toMatch(/^[\n\x20-\x7e]+$/)
    }
  } finally {
    limiter.close()
    rmSync(folder, { recursive: true })
    await run(process.execPath, [MAIN, 'shared', 'remove', `words ${process.pid}`])
  }
})

test('the command that looks at shared tables makes no directory for them', async () => {
  const look = `mount -t tmpfs none /dev/shm && "$0" "$1" shared list; ls /dev/shm`
  const where = process.geteuid?.() === 0 ? '-m' : '-rm'
  const args = [where, 'sh', '-c', look, process.execPath, MAIN]
  expect((await run('unshare', args)).out).toBe('nothing is shared\n')
})

test("npm start's table shows the limit of each route", async () => {
  const { out } = await run(process.execPath, ['examples/start.mjs', '--once'])
  const rows = out.split('\n').filter((line) => /^(GET|POST) /.test(line))
  expect(rows).toHaveLength(7)
  for (const row of rows) expect(row).toMatch(/ 100\/minute| 1000\/minute| 10\/minute.*50\/hour/)
})

test('the cluster example admits its limit, however long its run takes', async () => {
  const preload = `--require=${join(HERE, 'late-requests.cjs')}`
  const { out } = await run(process.execPath, [preload, 'examples/cluster-shared.mjs'])
  expect(out).toContain('admitted 1000 of 1500 requests')
}, 100_000)
