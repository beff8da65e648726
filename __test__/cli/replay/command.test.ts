import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, it } from 'vitest'
import { progressText } from '../../../dist/cli/replay/progress.js'
import type { Run } from '../../../dist/cli/replay/run.js'
import { clfTime } from './random-log.ts'
import { replayed, reported } from './replayed.ts'

const FOLDER = mkdtempSync(join(tmpdir(), 'replay-'))
afterAll(() => rmSync(FOLDER, { recursive: true }))

const PROGRAM = join(process.cwd(), '__test__/cli/replay/program.mjs')
const START = Date.UTC(2026, 10, 30, 12)

function log(name: string, content: string | Buffer): string {
  const file = join(FOLDER, name)
  writeFileSync(file, content)
  return file
}

/** A combined line of a client, so many seconds after noon. */
function line(
  seconds: number,
  { ip = '10.0.0.1', zone = 0, request = 'GET /a HTTP/1.1' } = {},
): string {
  return `${ip} - - [${clfTime(START + seconds * 1_000, zone)}] "${request}" 200 1\n`
}

/** So many lines of one client, a second apart. */
function lines(count: number, from = 0, of = {}): string {
  return Array.from({ length: count }, (_, at) => line(from + at, of)).join('')
}

it('tells who was refused, when and where, for each limit, and how to write it in code', async () => {
  const file = log(
    'basic.log',
    lines(60) + lines(30, 10, { ip: '10.0.0.2', request: 'GET /items/7?x HTTP/1.1' }),
  )
  const { code, out, err } = await replayed([
    file,
    '--limits',
    '20/minute',
    '--limits',
    '100/minute',
  ])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toContain('90 lines, 90 requests of 2 clients')
  expect(out).toMatch(/^ {2}20\/minute +22 +24\.44 % +2 \(100\.00 %\) +2026-11-30 12:00 \(22\)$/m)
  expect(out).toMatch(/^ {2}100\/minute +0 +0\.00 % +0 \(0\.00 %\) +-$/m)
  expect(out).toMatch(/^ +21 +60 +60 +10\.0\.0\.1$/m)
  expect(out).toMatch(/GET \/items\/:id$/m)
  expect(out).toContain("new RateLimiter('20/minute')")
  expect(out).toContain("compare with --limits '61/minute'")
  expect(out).not.toContain('\u001b')
})

it('puts lines, zones and files in the order of their times', async () => {
  // One request in six seconds is what the limit admits; at one time, or unsorted, most would be refused.
  const each = Array.from({ length: 40 }, (_, at) => line(at * 6, { zone: at % 2 ? 330 : -480 }))
  const swapped = each.map((_, at) => each[at ^ 1] ?? '')
  const options = ['--limits', '10/minute', '--burst', '1'] as const
  const whole = log('whole.log', swapped.join(''))
  expect((await reported(whole, ...options)).limits[0]?.refused).toBe(0)
  const newest = log('access.log', each.slice(20).join(''))
  const oldest = log('access.log.1', gzipSync(each.slice(0, 20).join('')))
  const rotated = await reported(newest, oldest, ...options)
  expect(rotated).toMatchObject({ requests: 40, late: 0, from: '2026-11-30T12:00:00.000Z' })
  expect(rotated.limits[0]?.refused).toBe(0)
  const servers = [0, 1].map((odd) => each.filter((_, at) => at % 2 === odd).join(''))
  const logs = servers.map((content, at) => log(`server${at}.log`, content))
  expect((await reported(...logs, ...options)).limits[0]?.refused).toBe(0)
})

it('merges logs that are longer than what is held to sort', async () => {
  const count = 70_000
  const all = Array.from({ length: 2 * count }, (_, at) => line(at * 6))
  const logs = [1, 0].map((odd) =>
    log(`long${odd}.log`, gzipSync(all.filter((_, at) => at % 2 === odd).join(''), { level: 1 })),
  )
  const report = await reported(...logs, '--limits', '10/minute', '--burst', '1')
  expect(report).toMatchObject({ requests: 2 * count, late: 0 })
  expect(report.limits[0]?.refused).toBe(0)
})

it('a clock far ahead, or far behind, does not move the time of the others', async () => {
  const count = 140_000
  const each = Array.from({ length: count }, (_, at) => line(at * 6))
  each.splice(1_000, 0, line(1e9))
  each.splice(count - 10, 0, line(-1e6))
  const report = await reported(
    log('jump.log', each.join('')),
    '--limits',
    '10/minute',
    '--burst',
    '1',
  )
  expect(report).toMatchObject({ requests: count + 2, late: 1 })
  expect(report.limits[0]?.refused).toBe(1)
})

it.each([
  [['--since', '2026-11-30T12:00:30Z'], 30],
  [['--since', '2026-11-30T12:00:30'], 30],
  [['--until', '2026-11-30T13:00:30+01:00'], 30],
  [['--since', '2026-11-30'], 60],
  [['--method', 'get'], 59],
  [['--path-prefix', '/api'], 2],
  [['--path-prefix', '/api/'], 1],
])('%s leaves others out', async (options, requests) => {
  const other = [
    line(1, { request: 'POST /api/x HTTP/1.1' }),
    line(2, { request: 'GET /api?x HTTP/1.1' }),
    line(3, { request: 'GET /apiary HTTP/1.1' }),
  ]
  const file = log('some.log', lines(57, 3) + other.join(''))
  const report = await reported(file, '--limits', '1/s', ...options)
  expect([report.requests, report.leftOut]).toEqual([requests, 60 - requests])
})

it('counts by user or by any field of JSON, and says how many requests have none', async () => {
  const one = (at: number, key: string): string =>
    `${JSON.stringify({ time: START + at, url: '/', ip: '1.1.1.1', req: { headers: { 'x-api-key': key } } })}\n`
  const file = log('keys.json', one(0, 'a') + one(1, 'a') + one(2, 'b') + one(3, ''))
  const report = await reported(file, '--limits', '1/s', '--key', 'req.headers.x-api-key')
  expect(report).toMatchObject({ requests: 3, clients: 2, withoutKey: 1, limits: [{ refused: 1 }] })
  const { out } = await replayed([file, '--limits', '1/s', '--key', 'req.headers.x-api-key'])
  expect(out).toContain('1 without a key (req.headers.x-api-key): never limited')
})

it.each([
  ['nothing', ''],
  ['blank lines', '\n\n\n'],
  ['text', 'hello\nworld\n'],
  ['bytes', Buffer.from(Array.from({ length: 4_096 }, (_, at) => (at * 7) & 255))],
])('where no request can be read, it explains the formats: %s', async (_, content) => {
  const { code, out, err } = await replayed([log('odd', content), '--limits', '1/s'])
  expect({ code, out }).toEqual({ code: 1, out: '' })
  expect(err).toContain('no request could be read from')
  expect(err).toContain('"GET /api/items?page=2 HTTP/1.1" 200 512')
})

it('a compressed file that ends in its middle is counted as far as it goes', async () => {
  const packed = gzipSync(lines(1_000))
  const file = log('cut.gz', packed.subarray(0, packed.length - 200))
  const { code, out, err } = await replayed([file, '--limits', '1/minute', '--json'])
  expect(code).toBe(1)
  expect(err).toContain('the compressed file ends in its middle')
  const report = JSON.parse(out)
  expect(report.isComplete).toBe(false)
  expect(report.requests).toBeGreaterThan(500)
  expect(report.unreadable).toEqual([])
})

it('reads files whose compressed parts were put behind each other, whatever their name', async () => {
  const file = log('parts.log', Buffer.concat([gzipSync(lines(10)), gzipSync(lines(10, 10))]))
  expect((await reported(file, '--limits', '1/s')).requests).toBe(20)
})

it.each([
  [['nope.log', '--limits', '1/s'], 1, 'there is no such file'],
  [['/', '--limits', '1/s'], 1, 'it is a directory'],
  [['x'], 2, '--limits must be given 1 to 8 times'],
  [
    ['x', ...Array.from({ length: 9 }, () => ['--limits', '1/s']).flat()],
    2,
    'must be given 1 to 8',
  ],
  [['--limits', '1/s'], 2, 'the files must be 1 to 256 logs'],
  [['x', '--limits', '1/fortnight'], 2, 'expected a unit'],
  [['x', '--limits', '1/s', '--burst', '0'], 2, '--burst must be a whole number from 1'],
  [
    ['x', '--limits', '1/s', '--burst', '5', '--algorithm', 'sliding-log'],
    2,
    'burst must be absent',
  ],
  [['x', '--limits', '1/s', '--algorithm', 'best'], 2, '--algorithm must be'],
  [['x', '--limits', '1/s', '--format', 'xml'], 2, '--format must be "auto", "combined"'],
  [['x', '--limits', '1/s', '--since', 'soon'], 2, '--since must be a time such as'],
  [['x', '--limits', '1/s', '--block-for', 'long'], 2, '--block-for'],
  [['x', '--limits', '1/s', '--top', '1.5'], 2, '--top must be a whole number'],
  [['x', '--limits', '1/s', '--frob'], 2, 'unknown option "--frob"'],
  [['x', '--limit', '1/s'], 2, 'unknown option "--limit"; did you mean --limits?'],
  [['\u001b[31m', '--limits', '1/s'], 1, '"\\u001b[31m": there is no such file'],
])('%j ends with %i: %s', async (args, code, message) => {
  const result = await replayed(args)
  expect({ code: result.code, out: result.out }).toEqual({ code, out: '' })
  expect(result.err).toContain(message)
  expect(result.err).toMatch(/^[\n\x20-\x7e]+$/)
})

it('--help, and no argument, print the usage', async () => {
  for (const args of [['--help'], ['-h'], []]) {
    const { code, out } = await replayed(args)
    expect({ code, first: out.split(' ')[0] }).toEqual({ code: 0, first: 'Usage:' })
  }
})

it('progress is shown on a terminal only, and tells how much is left', async () => {
  const file = log('progress.log', lines(5_000))
  expect((await replayed([file, '--limits', '1/s'])).err).toBe('')
  const shown = (await replayed([file, '--limits', '1/s'], true)).err
  const clear = '\r\u001b[K'
  // A slow machine shows it several times.
  const [first, ...texts] = shown.split(clear)
  expect([first, texts.pop()]).toEqual(['', ''])
  expect(texts.length).toBeGreaterThan(0)
  for (const text of texts) {
    expect(text).toMatch(/^\d+ % of 0\.\d MiB, [\d,]+ lines, [\d,]+ lines\/s, \d+ s left$/)
  }
  const half = { sources: [{ read: 2 ** 20, size: 2 ** 21 }], counts: { lines: 5_000 } }
  expect(progressText(half as unknown as Run, 2)).toBe(
    '50 % of 2.0 MiB, 5,000 lines, 2,500 lines/s, 2 s left',
  )
})

it('reads standard input; Ctrl-C prints what it has and exits with 130', async () => {
  const env = { ...process.env, TTY: '1' }
  const child = spawn(process.execPath, [PROGRAM, '-', '--limits', '1/minute'], { env })
  let out = ''
  child.stdout.on('data', (data) => {
    out += data
  })
  child.stdin.write(lines(500))
  // Progress shows that it reads; what it reads next never comes.
  await once(child.stderr, 'data')
  const ended = once(child, 'close')
  child.kill('SIGINT')
  expect(await ended).toEqual([130, null])
  expect(out).toMatch(/[\d,]+ requests of 1 client\n/)
  expect(out).toContain('(not read to the end)')
})

it('ends quietly when who reads the output has gone; another failure is told', async () => {
  const file = log('piped.log', lines(5_000))
  const command = `"$0" "$1" "$2" --limits 1/minute --top 1000 --json | true; echo "\${PIPESTATUS[0]}"`
  const gone = spawn('bash', ['-c', command, process.execPath, PROGRAM, file])
  const full = spawn('bash', [
    '-c',
    '"$0" "$1" "$2" --limits 1/s > /dev/full; echo $?',
    process.execPath,
    PROGRAM,
    file,
  ])
  const [piped, filled] = await Promise.all([gone, full].map(ending))
  expect(piped).toBe('0\n')
  expect(filled).toMatch(/ENOSPC.*\n1\n$/s)
})

async function ending(child: ReturnType<typeof spawn>): Promise<string> {
  let text = ''
  child.stderr?.on('data', (data) => {
    text += data
  })
  let out = ''
  child.stdout?.on('data', (data) => {
    out += data
  })
  await once(child, 'close')
  return text + out
}
