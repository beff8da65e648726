import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { InOrder } from '../../../dist/cli/replay/in-order.js'
import { KeyTable } from '../../../dist/cli/replay/key-table.js'
import { LineCutter } from '../../../dist/cli/replay/lines.js'
import { byLength } from '../../fixtures/long.ts'
import { randomFor } from '../../fixtures/random.ts'
import { replayed, reported } from './replayed.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'replay-hostile-'))
afterAll(() => rmSync(FOLDER, { recursive: true }))

const TIME = '[30/Nov/2026:11:28:10 +0000]'
const MAX_LINE = 65_536

function log(name: string, content: string | Buffer): string {
  const file = join(FOLDER, name)
  writeFileSync(file, content)
  return file
}

it('cuts lines at any place where chunks end, with any ending', () => {
  const random = randomFor('replay lines')
  for (let round = 0; round < byLength(200, 5_000); round++) {
    const lines = Array.from({ length: random.integer(0, 30) }, () => {
      const length = random.chance(0.03)
        ? random.integer(MAX_LINE - 2, MAX_LINE + 3)
        : random.integer(0, 9)
      return 'abc'.repeat(length).slice(0, length)
    })
    const text = lines.map((line) => line + random.pick(['\n', '\r\n'])).join('')
    const mark = random.pick(['', '\ufeff'])
    const bytes = Buffer.from(mark + text + random.pick(['', 'end']))
    const expected = lines.map((line) => (line.length > MAX_LINE ? 'long' : line))
    if (bytes.toString().endsWith('end')) expected.push('end')
    expect(cutting(bytes, () => random.integer(3, random.pick([5, 40, 70_000])))).toEqual(expected)
  }
})

function cutting(bytes: Buffer, next: () => number): string[] {
  const found: string[] = []
  const cutter = new LineCutter({
    line: (chunk, from, to) => found.push(chunk.toString('utf8', from, to)),
    long: () => found.push('long'),
  })
  for (let at = 0; at < bytes.length; ) {
    const end = at + next()
    cutter.push(bytes.subarray(at, end))
    at = end
  }
  cutter.end()
  return found
}

const NASTY = [
  '\u001b[31mred\u0007',
  '<img src=x onerror=alert(1)>',
  '\u202ertl\u200f',
  '\u009b31m',
  '\u{1f600}'.repeat(40),
  '"\\"\\\\',
]

it('prints no control character, whatever keys, paths and names of files hold', async () => {
  const lines = NASTY.flatMap((text) => {
    const json = { time: 1_796_038_090_123, url: `/${text}`, ip: text, user: text, method: text }
    const path = text.replaceAll(/[\s"\\]/g, '')
    return [
      `${path} - ${text.replaceAll('"', '')} ${TIME} "GET /${path} HTTP/1.1" 200 1`,
      JSON.stringify(json),
      `${text}\u001b[2J`,
    ]
  })
  const file = log('odd \u001b[31m\u202e.log', [...lines, ...lines].join('\n'))
  for (const key of ['ip', 'user', 'ip+path', 'method']) {
    for (const more of [[], ['--json']]) {
      const { code, out, err } = await replayed([file, '--limits', '1/day', '--key', key, ...more])
      expect(code).toBe(0)
      expect(out).toMatch(/^[\n\x20-\x7e]+$/)
      expect(err).toBe('')
      expect(out).toContain('\\u001b')
    }
  }
})

it('says which lines could not be read, and why; a long one is one of them', async () => {
  const good = `1.2.3.4 - - ${TIME} "GET / HTTP/1.1" 200 1`
  const long = `${good} "${'x'.repeat(300_000)}"`
  const lines = [good, long, 'odd', '', '{"time":1', good, '{}', '- - - [x] "GET / HTTP/1.1" 200 1']
  const noClient = `- - - ${TIME} "GET / HTTP/1.1" 200 1`
  const report = await reported(log('odd.log', [...lines, noClient].join('\n')), '--limits', '1/s')
  expect(report).toMatchObject({ lines: 8, requests: 2 })
  const places = report.unreadable.map(({ why, lines: count, first }) => [
    why.split(' ')[0],
    count,
    first.map((place) => place.split(' ').at(-1)),
  ])
  expect(places).toEqual([
    ['longer', 1, ['2']],
    ['neither', 1, ['3']],
    ['broken', 1, ['5']],
    ['no', 1, ['7']],
    ['no', 1, ['8']],
    ['no', 1, ['9']],
  ])
})

it('a million clients take bounded memory, and the one who is refused is found', async () => {
  const count = byLength(80_000, 2_000_000)
  const lines: string[] = []
  for (let i = 0; i < count; i++) {
    const ip = i % 10 === 0 ? '1.2.3.4' : `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`
    lines.push(`${ip} - - ${TIME} "GET /${i}x HTTP/1.1" 200 1`)
  }
  const file = log('many.log', lines.join('\n'))
  const report = await reported(file, '--limits', '100/minute', '--clients', '1000')
  expect(report.limits[0]?.topClients[0]).toMatchObject({ name: '1.2.3.4', requests: count / 10 })
  expect(report.forgottenClients).toBeGreaterThan(count / 2)
  expect(report.clients).toBeLessThanOrEqual(count)
  expect(report.forgottenRoutes).toBeGreaterThan(count / 2)
  const { out } = await replayed([file, '--limits', '100/minute', '--clients', '1000'])
  expect(out).toMatch(/clients were forgotten to make room/)
  expect(out).toMatch(/clients were evicted from a limiter/)
  expect(out).toContain('requests of at most')
})

it('a table of keys never grows, and keeps those that were refused', () => {
  let forgotten = 0
  const table = new KeyTable(64, 2, () => forgotten++)
  const add = (key: string): number => {
    const bytes = Buffer.from(key, 'latin1')
    return table.again(table.find(bytes, 0, bytes.length), key)
  }
  for (const key of ['worst', 'bad']) {
    for (let i = 0; i < 5; i++) table.refuse(add(key), key === 'bad' ? 1 : 0)
  }
  for (let i = 0; i < 10_000; i++) table.count(add(`k${i}`), i)
  const slot = add('k9999')
  expect(table.keys[slot]).toBe('k9999')
  expect(table.keys[table.again(slot, 'another')]).toBe('another')
  expect(table.refusedOf(add('worst'), 0)).toBe(5)
  expect(table.refusedOf(add('bad'), 1)).toBe(5)
  expect(table.keys.length).toBe(64)
  expect(table.forgotten).toBe(forgotten)
  expect(forgotten).toBeGreaterThanOrEqual(10_000 - 64)
})

it('requests of one time keep their order, however far apart others are', () => {
  for (const far of [1_000, 2 ** 40]) {
    const given: number[] = []
    const inOrder = new InOrder({ request: (_, slot) => given.push(slot) })
    const times = [far, 5, 5, 1, 5, far, 1]
    for (const [at, time] of times.entries()) inOrder.push(time, at, '', 0, '')
    inOrder.end()
    expect(given).toEqual([3, 6, 1, 2, 4, 0, 5])
  }
})

it('keys and routes of any length take bounded room, and different ones stay different', async () => {
  const of = (path: string): string => `1.2.3.4 - - ${TIME} "GET /${path} HTTP/1.1" 200 1`
  const start = 'x'.repeat(60_000)
  const paths = ['a', 'b', 'a'].map((end) => of(start + end))
  const deep = of('1/'.repeat(30_000))
  const file = log('keys.log', [...paths, deep].join('\n'))
  const report = await reported(file, '--limits', '1/day', '--key', 'ip+path')
  expect(report).toMatchObject({ requests: 4, clients: 3, limits: [{ refused: 1 }] })
  expect(report.limits[0]?.topClients[0]?.name.length).toBeLessThan(300)
  expect(report.limits[0]?.topRoutes[0]?.name.length).toBeLessThan(300)
})
