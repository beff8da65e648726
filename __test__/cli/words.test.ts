import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { COMMANDS } from '../../dist/cli/commands.js'
import { styleOf } from '../../dist/cli/text.js'
import { ROOT } from '../fixtures/child.ts'
import { call, callHere, folder } from './calls.ts'

const names = [...COMMANDS.keys()]

it('ratethrottle alone teaches: each command stands in its help, with a form that exists', async () => {
  const { code, out, err } = await call([])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  for (const name of names) expect(out).toMatch(new RegExp(`^ +${name} |, ${name} `, 'm'))
  expect((await callHere('--help')).out).toBe(out)
})

it('each command has help with an example, also as "help COMMAND"', async () => {
  for (const name of names) {
    const { code, out, err } = await callHere(name, '--help')
    expect({ code, err }, name).toEqual({ code: 0, err: '' })
    expect(out).toMatch(new RegExp(`ratethrottle ${name}`))
    expect(out, name).toMatch(/Example|npx ratethrottle/)
    expect(out, name).toContain('--json')
  }
  expect((await callHere('help', 'block')).out).toBe((await callHere('block', '--help')).out)
})

it.each([
  ['tpo', 'top'],
  ['pardn', 'pardon'],
  ['blok', 'block'],
  ['repot', 'report'],
  ['conf', 'config'],
  ['docter', 'doctor'],
])('a mistyped command gets a suggestion: %s', async (typed, meant) => {
  const { code, out, err } = await callHere(typed)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).toContain(`did you mean ${meant}?`)
})

it.each([
  ['top', '--wath', '--watch'],
  ['report', '--sinc', '--since'],
  ['show', '--Pid', '--pid'],
  ['grafana', '--titel', '--title'],
  ['shared', '--jsn', '--json'],
])('a mistyped option gets a suggestion: %s %s', async (name, typed, meant) => {
  const { code, out, err } = await callHere(name, typed)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err.split('\n')[0]).toBe(`unknown option "${typed}"; did you mean ${meant}?`)
  expect(err).not.toContain('positional')
})

it.each([
  ['frobnicate'],
  ['toString'],
  ['show'],
  ['show', 'a', 'b'],
  ['block', 'a'],
  ['block', 'a', 'soon'],
  ['block', 'a', '10m', 'b'],
  ['top', 'now'],
  ['top', '--every', '0', '--watch'],
  ['report', '--since', 'ever'],
  ['report', '--csv', '--html'],
  ['config'],
  ['config', 'frob'],
  ['config', 'check'],
  ['doctor', 'a', 'b'],
  ['doctor', '--url', 'file:///etc/passwd'],
  ['show', 'a', '--pid', 'x'],
  ['show', 'a', '--pid', '1', '--socket', '/tmp/x'],
  ['reset', 'a', '--frob'],
  ['grafana', '--uid', 'x'.repeat(41)],
  ['replay', 'a.log'],
])('words that make no sense end with 2, and say so on stderr: %s %s %s', async (...words) => {
  const { code, out, err } = await callHere(...words)
  expect({ code, out }).toEqual({ code: 2, out: '' })
  expect(err).not.toBe('')
})

it('no escape is printed but on a terminal, and none there with NO_COLOR', () => {
  const terminal = { isTTY: true } as never
  const { NO_COLOR = '' } = process.env
  Object.assign(process.env, { NO_COLOR: '' })
  expect(styleOf(terminal).bold('x')).toBe('\u001b[1mx\u001b[22m')
  expect(styleOf({} as never).bold('x')).toBe('x')
  Object.assign(process.env, { NO_COLOR: '1' })
  expect(styleOf(terminal).red('x')).toBe('x')
  Object.assign(process.env, { NO_COLOR })
})

it('config check, print and schema read a file, and show no variable', async () => {
  const place = folder()
  const good = join(ROOT, '__test__/cli/good.json')
  const env = { SECRET_URL: 'redis://:hunter2@127.0.0.1' }
  expect(await call(['config', 'check', good], { cwd: place, env })).toMatchObject({ code: 0 })
  const printed = await call(['config', 'print', good], { cwd: place, env })
  expect(JSON.parse(printed.out)).toEqual(JSON.parse(readFileSync(good, 'utf8')))
  expect(printed.out + printed.err).not.toContain('hunter2')
  expect(JSON.parse((await callHere('config', 'schema')).out)).toHaveProperty('$schema')
  const bad = await call(['config', 'check', good], { cwd: place })
  expect(bad).toMatchObject({ code: 1, out: '' })
  expect(bad.err).toMatch(/good\.json:2:\d+: .*SECRET_URL/)
  expect(readdirSync(place)).toEqual([])
})
