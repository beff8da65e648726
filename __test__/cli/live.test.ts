import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import type { Recent } from '../../dist/cli/live/recent.js'
import type { Report } from '../../dist/insight/types.js'
import { ROOT } from '../fixtures/child.ts'
import {
  ask,
  call,
  callHere,
  callWith,
  folder,
  json,
  RUNTIME,
  type Service,
  serve,
} from './calls.ts'

const HOSTILE = '\u001b[31m<img src=x onerror=1>\u202e\u009b'

interface Answered {
  readonly pid: number
  readonly answer: { readonly limits: readonly Readonly<Record<string, unknown>>[] }
}

it('without a process every live command says so, and how to have one', async () => {
  for (const words of [['top'], ['show', 'a'], ['report'], ['reload'], ['pardon', 'a']]) {
    const { code, out, err } = await callHere(...words)
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toContain('insight({ control: true })')
  }
})

it('commands act on all processes that run, or on one of them', async () => {
  // Of an hour: none comes back while the test runs, however slow the machine is.
  const options = { keys: 'plain', limits: '5/hour' }
  const one = await serve(options)
  const two = await serve(options)
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
  const { out } = await callHere('show', key, '--pid', `${one.pid}`)
  expect(out.split('\n')[1]).toMatch(
    /^\d+ +api +user:42 +0 of 5 +(?:1 h|59 min \d+ s|59 min) +denied for 1\d min/,
  )

  // Reset: what was used is forgotten.
  expect(await callHere('reset', key, '--pid', `${one.pid}`)).toMatchObject({ code: 0, err: '' })
  expect(await ask(one, key)).toBe(200)

  // Block: each process refuses; pardon: each serves again.
  const blocked = await call(['block', key, '10m'])
  expect(blocked.out).toMatch(/blocked for 10 min\n.*blocked for 10 min/)
  expect([await ask(one, key), await ask(two, key)]).toEqual([429, 429])
  expect((await callHere('show', key)).out).toMatch(/blocked for (?:9 min|10 min)/)
  expect(await call(['pardon', key])).toMatchObject({ code: 0 })
  expect([await ask(one, key), await ask(two, key)]).toEqual([200, 200])
  // There is nothing to pardon any more.
  expect(await callHere('pardon', key)).toMatchObject({ code: 1 })

  // Report: the sum of both.
  const report = await json<Report>('report', '--since', '1h')
  expect(report).toMatchObject({ processes: 2, totals: { admitted: 8, denied: 4 } })
  expect(report.top.asked[0]).toMatchObject({ key, limit: 'api', count: 12 })
  const csv = await callHere('report', '--csv')
  expect(csv.out).toContain('user:42')
  const html = await callHere('report', '--html', '--pid', `${one.pid}`)
  expect(html.out).toMatch(/^<!doctype html>/)
  await expectNow(two)
  const top = await callHere('top')
  expect(top.out).toContain('this host, processes: 2')
  // Nothing has happened while it looked.
  expect(top.out).toMatch(
    /^No key was denied in the last \d s\.\nkey +limit +in the last \d s +since the start$/m,
  )
  expect(top.out).toMatch(/^No key asked in the last \d s\.$/m)
  expect(top.out).toMatch(/^api +memory +5\/hour +\d+\.\d +\d+\.\d +\S.* +\d$/m)

  await expectWatch(one.pid)
  await expectEscaped(one)
  one.child.kill('SIGKILL')
  await once(one.child, 'exit')
  // Of a killed process only its socket is left: the other answers.
  expect((await json<Report>('report')).processes).toBe(1)
})

/** A key that is denied while `top` looks comes first, however often another one was denied before. */
async function expectNow(service: Service): Promise<void> {
  for (let i = 0; i < 150; i++) await ask(service, 'before')
  let isOver = false
  const called = Promise.all([json<Report & { recent: Recent }>('top'), call(['top'])])
  const end = called.finally(() => {
    isOver = true
  })
  let asked = 0
  // More often than that it is not needed, and less often than the other key.
  for (; !isOver && asked < 140; asked++) {
    await ask(service, 'now')
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  const [{ recent, top }, { out }] = await end
  expect(top.denied[0]?.key).toBe('before')
  expect(recent.ms).toBeGreaterThanOrEqual(1_990)
  expect(recent.denied).toMatchObject([{ key: 'now', limit: 'api' }])
  expect(recent.asked).toMatchObject([{ key: 'now', limit: 'api' }])
  expect(recent.asked[0]?.count).toBeLessThanOrEqual(asked)
  expect(out).toMatch(
    /^Keys that were denied most in the last \d s\n.*\nnow +api +[1-9]\d* +\d+\nbefore +api +0 +145$/m,
  )
}

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
  const read = frames.map((line) => JSON.parse(line) as Report & { recent: Recent })
  expect(read.map(({ version, recent }) => [version, recent.denied])).toEqual([
    [1, []],
    [1, []],
  ])
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
  const calls = await Promise.all(words.map((each) => callHere(...each)))
  for (const [i, { out, err }] of calls.entries()) {
    const text = out + err
    expect(text.length, words[i]?.join(' ')).toBeGreaterThan(10)
    expect(text.replaceAll(/[\t\r\n]/g, ''), words[i]?.join(' ')).not.toMatch(/\p{C}/u)
  }
}

it('processes that share their figures are one: nothing is counted twice', async () => {
  const view = `cli ${process.pid}`
  const env = { XDG_RUNTIME_DIR: folder() }
  const services = await Promise.all([1, 2].map(() => serve({ shared: true, view }, env)))
  for (const service of services) for (let i = 0; i < 3; i++) await ask(service)
  const report = async () => JSON.parse((await callWith(env, ['report', '--json'])).out) as Report
  await expect.poll(async () => (await report()).totals.admitted).toBe(6)
  expect((await report()).processes).toBe(2)
})

it('a reader that has seen enough ends a command quietly', async () => {
  for (const words of [['grafana'], [], ['config', 'schema']]) {
    const child = spawn(process.execPath, ['dist/cli/main.js', ...words], { cwd: ROOT })
    child.stdout.destroy()
    let err = ''
    child.stderr.on('data', (data) => {
      err += data
    })
    const [code] = await once(child, 'close')
    expect({ code, err }).toEqual({ code: 0, err: '' })
  }
})
