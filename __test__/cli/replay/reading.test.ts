import { isIP } from 'node:net'
import { expect, it } from 'vitest'
import { readCombined } from '../../../dist/cli/replay/combined.js'
import { Entry } from '../../../dist/cli/replay/entry.js'
import { JsonReader } from '../../../dist/cli/replay/json-line.js'
import { JsonScanner } from '../../../dist/cli/replay/json-scanner.js'
import { readClfTime, readTime } from '../../../dist/cli/replay/log-time.js'
import { isIPv4, RequestKeys } from '../../../dist/cli/replay/request-keys.js'
import { byLength } from '../../fixtures/long.ts'
import { randomFor } from '../../fixtures/random.ts'
import { clfTime } from './random-log.ts'

/** Stands in the middle of other bytes: what is before and behind must not be read. */
function within(text: string): { bytes: Buffer; from: number; to: number } {
  const inner = Buffer.from(text)
  return {
    bytes: Buffer.concat([Buffer.from('9'), inner, Buffer.from('9"')]),
    from: 1,
    to: inner.length + 1,
  }
}

function timeOf(text: string): number {
  const { bytes, from, to } = within(text)
  return readTime(bytes, from, to)
}

it('times of all zones, months and leap days are those of Date', () => {
  const random = randomFor('replay times')
  for (let i = 0; i < byLength(20_000, 2_000_000); i++) {
    const at = random.integer(100_000, 4e9) * 1_000
    const zone = random.integer(-14 * 60, 14 * 60)
    const text = clfTime(at, zone)
    if (readClfTime(Buffer.from(text), 0) !== at) expect(text).toBe(`not ${at}`)
    const iso = new Date(at + random.integer(0, 999)).toISOString()
    if (timeOf(iso) !== Date.parse(iso)) expect(iso).toBe(`not ${timeOf(iso)}`)
  }
})

it.each([
  ['2026-11-30T11:28:10.123Z', '2026-11-30T11:28:10.123Z'],
  ['2026-11-30T11:28:10.1239999Z', '2026-11-30T11:28:10.123Z'],
  ['2026-11-30T11:28:10,5+02:00', '2026-11-30T09:28:10.500Z'],
  ['2026-11-30T11:28:10-0330', '2026-11-30T14:58:10Z'],
  ['2026-11-30T11:28:10+02', '2026-11-30T09:28:10Z'],
  ['2026-11-30 11:28:10', '2026-11-30T11:28:10Z'],
  ['2024-02-29t23:59:60z', '2024-03-01T00:00:00Z'],
  ['1796038090', '2026-11-30T11:28:10Z'],
  ['1796038090.5241024', '2026-11-30T11:28:10.524Z'],
  ['1.796038090524e9', '2026-11-30T11:28:10.524Z'],
  ['1796038090123', '2026-11-30T11:28:10.123Z'],
  ['1796038090123456', '2026-11-30T11:28:10.123Z'],
  ['1796038090123456789', '2026-11-30T11:28:10.123Z'],
  ['30/Nov/2026:11:28:10 +0100', '2026-11-30T10:28:10Z'],
  ['Mon, 30 Nov 2026 11:28:10 GMT', '2026-11-30T11:28:10Z'],
])('the time %s is %s', (text, iso) => {
  expect(new Date(timeOf(text)).toISOString()).toBe(new Date(iso).toISOString())
})

it.each([
  ...['30/Nov/2026:24:00:00 +0000', '31/Nov/2026:00:00:00 +0000', '29/Feb/2100:00:00:00 +0000'],
  ...['30/nov/2026:00:00:00 +0000', '30/Nov/2026:00:60:00 +0000', '30/Nov/2026:00:00:00 0000'],
  ...['30/Nov/2026:00:00:00 +0060', '30/Nov/2026 00:00:00 +0000', '30/Nov/1969:00:00:00 +0000'],
  ...['00/Nov/2026:00:00:00 +0000', '2026-13-01T00:00:00Z', '2026-11-30T00:00:00X', '2026-11-30'],
  ...[
    '2026-11-30T00:00:00+1',
    '-1',
    '1e999',
    '0x12',
    '1796038090123456789012345',
    '12,5',
    'now',
    '',
  ],
  ...['Mon, 30 Nov 2026 11:28:10', '1'.repeat(41), '3/Nov/2026:11:28:10 +0100', '1796038090.'],
])('%s is no time', (text) => {
  expect(timeOf(text)).toBeNaN()
})

/** What the reader of combined lines finds, as text. */
function combined(line: string, takesForwarded = false) {
  const { bytes, from, to } = within(line)
  const entry = new Entry()
  const flaw = readCombined(bytes, from, to, entry, takesForwarded)
  return flaw ?? textOf(entry)
}

function textOf(entry: Entry) {
  const text = (from: number, to: number): string => entry.bytes.toString('utf8', from, to)
  return [
    text(entry.clientFrom, entry.clientTo),
    text(entry.userFrom, entry.userTo),
    text(entry.methodFrom, entry.methodTo),
    text(entry.pathFrom, entry.pathTo),
  ].join('|')
}

const TIME = '[30/Nov/2026:11:28:10 +0000]'

it.each([
  [`1.2.3.4 - - ${TIME} "GET /a?b HTTP/1.1" 200 5`, '1.2.3.4||GET|/a'],
  [`1.2.3.4 - - ${TIME} "GET /a" 200`, '1.2.3.4||GET|/a'],
  [`::1 - ada ${TIME} "M-SEARCH * HTTP/1.1" 200 - "-" "x"`, '::1|ada|M-SEARCH|*'],
  [`1.2.3.4 - a [b] ${TIME} "GET /a#f HTTP/1.1" 200 5`, '1.2.3.4|a [b]|GET|/a'],
  [`1.2.3.4 -  ${TIME} "GET /a HTTP/1.1" 200 5`, '1.2.3.4||GET|/a'],
  [`1.2.3.4 - - ${TIME} "GET /\\"x\\\\" 200 5`, '1.2.3.4||GET|/\\"x\\\\'],
  [`1.2.3.4 - - ${TIME} "GET http://h/p?q HTTP/1.1" 200 5`, '1.2.3.4||GET|/p'],
  [`1.2.3.4 - - ${TIME} "GET http://h HTTP/1.1" 200 5`, '1.2.3.4||GET|'],
  ['1.2.3.4 - - [2026-11-30T11:28:10Z] "GET /a HTTP/1.1" 200 5', '1.2.3.4||GET|/a'],
])('reads %s', (line, found) => {
  expect(combined(line)).toBe(found)
})

it.each([
  [`1.2.3.4 - - ${TIME} "-" 408 0`, 'request'],
  [`1.2.3.4 - - ${TIME} "GET  HTTP/1.1" 400 0`, 'request'],
  [`1.2.3.4 - - ${TIME} "\\x16\\x03" 400 0`, 'request'],
  [`1.2.3.4 - - ${TIME} "GET" 400 0`, 'request'],
  [`1.2.3.4 - - ${TIME} "" 400 0`, 'request'],
  [`1.2.3.4 - - ${TIME} "GET / HTTP/1.1 200 5`, 'format'],
  [`1.2.3.4 - - ${TIME} "GET /\\" 200 5`, 'format'],
  [`1.2.3.4 - - ${TIME} "GET /" 20`, 'format'],
  [`1.2.3.4 - - ${TIME} "GET /" 2x0 1`, 'format'],
  [`1.2.3.4 - - ${TIME}`, 'format'],
  [`1.2.3.4 - - ${TIME} `, 'format'],
  [`1.2.3.4 - - ${TIME} "`, 'format'],
  [`1.2.3.4 - - "GET / HTTP/1.1" 200 5 ${TIME}`, 'format'],
  ['1.2.3.4 - - [30/Nov/2026:11:28:10 +0000', 'time'],
  ['1.2.3.4 - - [] "GET / HTTP/1.1" 200 5', 'time'],
  ['1.2.3.4', 'format'],
  ['1.2.3.4 - ', 'format'],
  [' ', 'format'],
])('does not read %s: %s', (line, flaw) => {
  expect(combined(line)).toBe(flaw)
})

it.each([
  ['"-" "curl \\"8\\"" "5.6.7.8, 9.9.9.9"', '5.6.7.8, 9.9.9.9'],
  ['"-" "curl" "-"', '1.2.3.4'],
  ['"-" "curl" ""', '1.2.3.4'],
  ['"-" "curl"', '1.2.3.4'],
  ['"-" "curl" "5.6', '1.2.3.4'],
  ['', '1.2.3.4'],
])('the client behind a proxy, from the rest %s', (rest, client) => {
  const line = `1.2.3.4 - - ${TIME} "GET / HTTP/1.1" 200 5 ${rest}`.trimEnd()
  expect(combined(line, true)).toBe(`${client}||GET|/`)
  expect(combined(line)).toBe('1.2.3.4||GET|/')
})

/** What the reader of JSON lines finds, as text. */
function json(line: string, names = {}) {
  const { bytes, from, to } = within(line)
  const entry = new Entry()
  return new JsonReader(names).read(bytes, from, to, entry) ?? textOf(entry)
}

it.each([
  ['{"time":1,"ip":"1.1.1.1","url":"/a?b","method":"GET"}', '1.1.1.1||GET|/a'],
  ['{"ts":1.5,"request":{"remote_ip":"2.2.2.2","client_ip":"1.1.1.1","uri":"/a"}}', '1.1.1.1|||/a'],
  ['{"time":"1","request":"GET /a HTTP/1.1","remote_addr":"1.1.1.1"}', '1.1.1.1||GET|/a'],
  ['{"time":1,"req.url":"/a","req":{"method":"GET","remoteAddress":"::1"}}', '::1||GET|/a'],
  ['{"time":1,"url":"\\/a\\u002fb","user":"\\u00e9\\n"}', '|\u00e9\n||/a/b'],
  ['{"time":1,"url":"/a","user":{"id":7}}', '|7||/a'],
  ['{"time":1,"url":"/a","ip":"-","user":"","client":"1.1.1.1"}', '1.1.1.1|||/a'],
  ['{"x":{"time":2,"url":"/no"},"time":1,"url":"/a"}', '|||/a'],
  ['{"time":1,"url":"/a","url":"/b"}', '|||/b'],
  ['{"\\u0074ime":1,"time":1,"url":"/a"}', '|||/a'],
  ['{"time":1,"ip":"1.1.1.1"}', 'request'],
  ['{"url":"/a","ip":"1.1.1.1"}', 'time'],
  ['{"time":true,"url":"/a"}', 'time'],
  ['{"time":1,"url":7}', 'request'],
  ['{"time":1,"request":"-"}', 'request'],
])('reads the JSON %s: %s', (line, found) => {
  expect(json(line)).toBe(found)
})

it('reads the fields that are asked for', () => {
  const line =
    '{"a":{"when":1,"x-key":"k"},"time":"no","who":"1.1.1.1","ip":"2.2.2.2","to":"/x","url":"/y"}'
  const names = { time: 'a.when', user: 'a.x-key', client: 'who', path: 'to' }
  expect(json(line, names)).toBe('1.1.1.1|k||/x')
})

it('takes for JSON what JSON.parse takes', () => {
  const random = randomFor('replay json')
  const scanner = new JsonScanner([], () => {})
  const pieces = [
    ...[
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"',
      '"a"',
      '"\\u00e9"',
      '\\',
      '1',
      '-0.5e+3',
      '01',
      '1.',
      '.5',
    ],
    ...[
      'true',
      'null',
      'nul',
      ' ',
      '\t',
      '\u0001',
      '\u007f',
      'e',
      '-',
      '{"a":1}',
      '[1,2]',
      '\\u12',
    ],
  ]
  const valid = '{"a":[1,{"b":"\\u00e9\\n"},-0.5e+3,true],"c":{},"d":null,"e":[]}'
  let accepted = 0
  for (let i = 0; i < byLength(30_000, 3_000_000); i++) {
    const at = random.integer(0, valid.length)
    const text = valid.slice(0, at) + random.pick(pieces) + valid.slice(at + random.integer(0, 3))
    let isObject = true
    try {
      const found = JSON.parse(text)
      isObject = typeof found === 'object' && found !== null && !Array.isArray(found)
    } catch {
      isObject = false
    }
    if (isObject) accepted++
    const { bytes, from, to } = within(text)
    if (scanner.scan(bytes, from, to) !== isObject) expect(text).toBe(`JSON: ${isObject}`)
  }
  expect(accepted).toBeGreaterThan(100)
})

it('takes for IPv4 what Node takes', () => {
  const random = randomFor('replay addresses')
  const pieces = ['0', '00', '1', '10', '255', '256', '999', '1000', '.', '..', ' ', 'a', '', '-']
  for (let i = 0; i < byLength(30_000, 3_000_000); i++) {
    const parts = Array.from({ length: random.integer(3, 5) }, () => random.pick(pieces))
    const { bytes, from, to } = within(parts.join('.'))
    if (isIPv4(bytes, from, to) !== (isIP(parts.join('.')) === 4)) expect(parts).toBe('taken wrong')
  }
})

it.each([
  ['/a/42/b', '/a/:id/b'],
  ['/deadbeefdeadbeef', '/deadbeefdeadbeef'],
  ['/deadbeefdeadbee1', '/:id'],
  ['/deadbeefdeadbe1', '/deadbeefdeadbe1'],
  ['/550e8400-e29b-41d4-a716-446655440000/', '/:id/'],
  ['/550e8400-e29b-41d4-a716-44665544000', '/550e8400-e29b-41d4-a716-44665544000'],
  ['/1-2/v2', '/1-2/v2'],
])('the path %s is of the route %s', (path, route) => {
  const entry = new Entry()
  entry.clear(Buffer.from(path))
  entry.pathTo = entry.bytes.length
  const place = new RequestKeys('ip').route(entry)
  expect(place.bytes.toString('latin1', place.from, place.to)).toBe(route)
})

it.each([
  ['1.2.3.4', '1.2.3.4'],
  ['::ffff:1.2.3.4', '1.2.3.4'],
  ['::FFFF:102:304', '1.2.3.4'],
  ['1.2.3.4:567', '1.2.3.4'],
  ['[2001:db8::1]:567', '2001:db8::/64'],
  ['[2001:db8::1]', '2001:db8::/64'],
  ['2001:DB8:0:0:1:2:3:4', '2001:db8::/64'],
  ['5.5.5.5, 1.2.3.4', '1.2.3.4'],
  ['5.5.5.5,2001:db8::1', '2001:db8::/64'],
  ['5.5.5.5, 6.6.6.6, 1.2.3.4', '1.2.3.4'],
  ['fe80::1%eth0', 'fe80::/64'],
  ['unix:', 'name:unix:'],
  ['01.2.3.4', 'name:01.2.3.4'],
  ['host.example', 'name:host.example'],
  ['-', undefined],
  ['', undefined],
  ['1.2.3.4, ', undefined],
])('the client %s counts as %s', (spelling, key) => {
  const entry = new Entry()
  entry.clear(Buffer.from(spelling))
  entry.clientTo = entry.bytes.length
  const keys = new RequestKeys('ip')
  for (let i = 0; i < 2; i++) {
    const place = keys.key(entry)
    expect(place?.bytes.toString('latin1', place.from, place.to)).toBe(key)
  }
})
