import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Report } from '../../dist/insight/types.js'
import { ROOT } from '../fixtures/child.ts'
import { ask, call, json, RUNTIME, serve } from './calls.ts'

const HOSTILE = '\u001b[31m<img src=x onerror=1>\u202e\u009b'

interface Answered {
  readonly pid: number
  readonly answer: { readonly limits: readonly Readonly<Record<string, unknown>>[] }
}

it('without a process every live command says so, and how to have one', async () => {
  for (const words of [['top'], ['show', 'a'], ['report'], ['reload'], ['pardon', 'a']]) {
    const { code, out, err } = await call(words)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain('insight({ control: true })')
  }
})

it('commands act on all processes that run, or on one of them', async () => {
  const one = await serve({ keys: 'plain' })
  const two = await serve({ keys: 'plain' })
  const key = 'user:42'
  for (let i = 0; i < 7; i++) await ask(one, key)

  // Show: what is left, in each process.
  const shown = await json<Answered[]>('show', key)
  expect(shown.map(({ pid }) => pid)).toEqual([one.pid, two.pid].sort((a, b) => a - b))
  const of = (pid: number) => shown.find((each) => each.pid === pid)?.answer.limits
  expect(of(one.pid)).toMatchObject([
    { limit: 'api', remaining: 0, allowed: false, blocked: false },
  ])
  expect(of(two.pid)).toMatchObject([{ remaining: 5, allowed: true }])
  const { out } = await call(['show', key, '--pid', `${one.pid}`])
  expect(out.split('\n')[1]).toMatch(
    /^\d+ +api +user:42 +0 of 5 +(?:1 min|5\d s) +denied for \d+ s$/,
  )

  // Reset: what was used is forgotten.
  expect(await call(['reset', key, '--pid', `${one.pid}`])).toMatchObject({ code: 0, err: '' })
  expect(await ask(one, key)).toBe(200)

  // Block: each process refuses; pardon: each serves again.
  const blocked = await call(['block', key, '10m'])
  expect(blocked.out).toMatch(/blocked for 10 min\n.*blocked for 10 min/)
  expect([await ask(one, key), await ask(two, key)]).toEqual([429, 429])
  expect((await call(['show', key])).out).toMatch(/blocked for 9 min 5\d s|blocked for 10 min/)
  expect(await call(['pardon', key])).toMatchObject({ code: 0 })
  expect([await ask(one, key), await ask(two, key)]).toEqual([200, 200])
  // There is nothing to pardon any more.
  expect(await call(['pardon', key])).toMatchObject({ code: 1 })

  // Report: the sum of both.
  const report = await json<Report>('report', '--since', '1h')
  expect(report).toMatchObject({ processes: 2, totals: { admitted: 8, denied: 4 } })
  expect(report.top.asked[0]).toMatchObject({ key, limit: 'api', count: 12 })
  const csv = await call(['report', '--csv'])
  expect(csv.out).toContain('user:42')
  const html = await call(['report', '--html', '--pid', `${one.pid}`])
  expect(html.out).toMatch(/^<!doctype html>/)
  const top = await call(['top'])
  expect(top.out).toMatch(/^api +memory +5\/minute +0\.8 +0\.4 +33\.3 % +5\/minute +\d$/m)

  await expectWatch(one.pid)
  await expectEscaped(one)
  one.child.kill('SIGKILL')
  await once(one.child, 'exit')
  // Of a killed process only its socket is left: the other answers.
  expect((await json<Report>('report')).processes).toBe(1)
})

async function expectWatch(pid: number): Promise<void> {
  const words = ['dist/cli/main.js', 'top', '--watch', '--every', '1', '--json', '--pid', `${pid}`]
  const child = spawn(process.execPath, words, {
    cwd: ROOT,
    env: { ...process.env, XDG_RUNTIME_DIR: RUNTIME },
  })
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
    if (out.split('\n').length === 3) child.kill('SIGINT')
  })
  expect(await once(child, 'close')).toEqual([0, null])
  const frames = out.trim().split('\n')
  expect(frames.map((line) => (JSON.parse(line) as Report).version)).toEqual([1, 1])
}

async function expectEscaped(service: Parameters<typeof ask>[0]): Promise<void> {
  for (let i = 0; i < 40; i++) await ask(service, HOSTILE)
  const words = [
    ['show', HOSTILE],
    ['show', HOSTILE, '--json'],
    ['block', HOSTILE, '1s'],
    ['pardon', HOSTILE],
    ['top'],
    ['top', '--json'],
    ['report'],
    ['report', '--csv'],
    ['report', '--html'],
    ['report', '--since', HOSTILE],
    ['block', 'a', HOSTILE],
    ['show', 'a', '--limit', HOSTILE],
    ['show', 'a', '--socket', `/tmp/${HOSTILE}`],
    ['show', `--${HOSTILE}`],
    [HOSTILE],
  ]
  const calls = await Promise.all(words.map((each) => call(each)))
  for (const [i, { out, err }] of calls.entries()) {
    const text = out + err
    expect(text.length, words[i]?.join(' ')).toBeGreaterThan(10)
    expect(text.replaceAll(/[\t\r\n]/g, ''), words[i]?.join(' ')).not.toMatch(/\p{C}/u)
  }
}

it('processes that share their figures are one: nothing is counted twice', async () => {
  const view = `cli ${process.pid}`
  const services = await Promise.all([1, 2].map(() => serve({ shared: true, view })))
  for (const service of services) for (let i = 0; i < 3; i++) await ask(service)
  const pids = services.map(({ pid }) => pid)
  await expect
    .poll(async () => {
      const { limits } = await json<Report>('report', '--pid', `${pids[0]}`)
      return limits[0]?.admitted
    })
    .toBe(6)
  const all = await json<Report>('report')
  // Services of other tests are among them.
  expect(all.processes).toBeGreaterThanOrEqual(3)
  for (const { child } of services) child.stdin?.end()
})

it('a reader that has seen enough ends a command quietly', async () => {
  await serve()
  const script = `'${process.execPath}' '${join(ROOT, 'dist/cli/main.js')}' report --html | head -c 10`
  const child = spawn('sh', ['-c', script], { env: { ...process.env, XDG_RUNTIME_DIR: RUNTIME } })
  let err = ''
  child.stderr.on('data', (data) => {
    err += data
  })
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  expect(await once(child, 'close')).toEqual([0, null])
  expect({ out, err }).toEqual({ out: '<!doctype ', err: '' })
})
