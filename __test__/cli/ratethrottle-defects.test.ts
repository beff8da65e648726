import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { COMMANDS } from '../../dist/cli/commands.js'
import type { Report } from '../../dist/insight/types.js'
import { ROOT, run } from '../fixtures/child.ts'
import { ask, call, callHere, folder, json, serve } from './calls.ts'

// Defects of RateThrottle for Python, which this command line must not have.

it('D76: commands see and change the process that runs, not one of their own', async () => {
  const service = await serve({ limits: '3/minute', keys: 'plain' })
  for (let i = 0; i < 5; i++) await ask(service, 'user:1')
  const report = await json<Report>('report')
  expect(report.totals).toMatchObject({ admitted: 3, denied: 2 })
  // A second call finds what the first one did.
  await call(['block', 'user:2', '10m'])
  expect((await call(['show', 'user:2'])).out).toContain('blocked for')
  expect(await ask(service, 'user:2')).toBe(429)
  await call(['reset', 'user:1'])
  expect(await ask(service, 'user:1')).toBe(200)
})

it('D76: no command writes a file, in the current directory or at home', async () => {
  const cwd = folder()
  const home = folder()
  const calls: string[][] = [
    [],
    ...[...COMMANDS.keys()].map((name) => [name]),
    ['config', 'check', 'ratethrottle.config.json'],
    ['config', 'print', 'ratethrottle.yaml'],
    ['config', 'schema'],
    ['doctor', 'ratethrottle.yaml'],
    ['show', 'a'],
    ['block', 'a', '1s'],
    ['pardon', 'a'],
    ['reset', 'a'],
    ['report', '--csv'],
    ['report', '--html'],
    ['shared', 'list'],
    ['replay', 'missing.log', '--limits', '1/minute'],
  ]
  // In a process of their own, as each would be, but in one for all: to start two dozen takes seconds.
  const { code, out } = await run('cli/all.mjs', [JSON.stringify(calls), cwd], {
    HOME: home,
    XDG_RUNTIME_DIR: home,
  })
  expect(code).toBe(0)
  const codes = JSON.parse(out) as number[]
  expect(codes.length).toBe(calls.length)
  for (const [i, each] of codes.entries()) expect([0, 1, 2], calls[i]?.join(' ')).toContain(each)
  expect({ cwd: readdirSync(cwd), home: readdirSync(home) }).toEqual({ cwd: [], home: [] })
})

it('D79: every command that the documentation calls exists, with every option', async () => {
  const pages = ['docs', 'README.md'].flatMap((place) =>
    place.endsWith('.md')
      ? [place]
      : (readdirSync(join(ROOT, place), { recursive: true }) as string[])
          .filter((name) => name.endsWith('.md'))
          .map((name) => join(place, name)),
  )
  const known = new Map<string, string>()
  for (const name of COMMANDS.keys()) known.set(name, (await callHere(name, '--help')).out)
  const wrong: string[] = []
  let seen = 0
  for (const page of pages) {
    const text = readFileSync(join(ROOT, page), 'utf8')
    for (const [called = ''] of text.matchAll(/npx ratethrottle [a-z][^\n`|#>]*/g)) {
      const [, , name = '', ...rest] = called.trim().split(/\s+/)
      seen++
      const help = known.get(name)
      const options = rest
        .filter((word) => /^--[a-z]/.test(word))
        .map((word) => word.split('=')[0] ?? '')
      if (help === undefined) wrong.push(`${page}: ${called}`)
      else
        wrong.push(
          ...options
            .filter((option) => !help.includes(option))
            .map((option) => `${page}: ${called}: ${option}`),
        )
    }
  }
  expect(wrong).toEqual([])
  expect(seen).toBeGreaterThan(15)
})

it('D79: the reference has every command and option that exists', async () => {
  const page = readFileSync(join(ROOT, 'docs/reference/command-line.md'), 'utf8')
  for (const [name, load] of COMMANDS) {
    expect(page, name).toMatch(new RegExp(`npx ratethrottle ${name}\\b`))
    const { options } = await load()
    for (const option of Object.keys(options))
      expect(page, `${name} --${option}`).toContain(`--${option}`)
  }
})

it('the reference has every finding of doctor', () => {
  const page = readFileSync(join(ROOT, 'docs/reference/command-line.md'), 'utf8')
  const folder = join(ROOT, 'ts/cli/doctor')
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  const codes = sources.flatMap((text) =>
    [...text.matchAll(/code: '([a-z-]+)',\s*severity/g)].map(([, code]) => code),
  )
  expect(new Set(codes).size).toBeGreaterThan(15)
  for (const code of codes) expect(page).toContain(`\`${code}\``)
})
