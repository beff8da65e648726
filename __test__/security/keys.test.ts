import type { IncomingMessage } from 'node:http'
import { RateLimiter } from 'ratethrottle'
import { allOf } from 'ratethrottle/express'
import { describe, expect, it } from 'vitest'
import { run } from '../fixtures/child.ts'
import { randomFor } from '../fixtures/random.ts'
import { ask, statuses } from '../http/client.ts'
import { FRAMEWORKS, serve } from '../http/serve.ts'

describe.each(FRAMEWORKS)('%s', (name) => {
  it('parts of a key are joined without ambiguity (H13)', async () => {
    const part = (header: string) => (request: IncomingMessage) => String(request.headers[header])
    const { port } = await serve(name, { limits: '1/day', key: allOf(part('x-a'), part('x-b')) })
    const pairs = [
      ['a:b', 'c'],
      ['a', 'b:c'],
      ['1:a', '1:b'],
      ['1:a1', ':b'],
      ['', 'x'],
      ['3:a:b', 'c'],
    ]
    for (const [a = '', b = ''] of pairs) {
      const headers = { 'x-a': a, 'x-b': b }
      // Nothing is no part: such a caller has no key.
      expect(await statuses(port, 2, { headers }), a).toEqual(a === '' ? [400, 400] : [200, 429])
    }
  })

  it('a caller that chooses its key cannot use the budget of another route (H14)', async () => {
    const key = ({ headers }: IncomingMessage): string => String(headers['x-key'])
    const limits = { limits: '1/day', key }
    const routes = [
      { path: '/a', limits },
      { path: '/a-b', limits: { ...limits } },
    ]
    const { port } = await serve(name, {}, { routes })
    const asks = (path: string, key: string) => ask(port, { path, headers: { 'x-key': key } })
    expect((await asks('/a', 'b-K')).status).toBe(200)
    expect((await asks('/a-b', 'K')).status).toBe(200)
    expect((await asks('/a-b', 'K')).status).toBe(429)
  })

  it('property names of objects and control characters are ordinary keys (H17, H20)', async () => {
    const key = ({ headers }: IncomingMessage): string =>
      decodeURIComponent(String(headers['x-key']))
    const before = Object.getOwnPropertyNames(Object.prototype).sort()
    const { port } = await serve(name, { limits: '1/day', key, headers: 'both' })
    const names = [
      ...before,
      'prototype',
      'a\0b',
      'a\0c',
      'a\r\nx: y',
      '\u001b[2J',
      '{a}',
      '{}',
      '\ud83d\ude00',
    ]
    for (const value of names) {
      const question = {
        headers: { 'x-key': encodeURIComponent(value), constructor: value.length > 9 ? 'x' : 'y' },
      }
      const { status, headers } = await ask(port, question)
      expect(status, value).toBe(200)
      expect(JSON.stringify(headers)).not.toContain('x: y')
      expect((await ask(port, question)).status).toBe(429)
    }
    expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(before)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})

it('of 100,000 random lists of parts two keys are equal exactly if the lists are (H13)', () => {
  const random = randomFor('parts of keys')
  const noClient = { client: () => undefined, header: () => undefined }
  const letters = ['a', ':', '1', '2', '0', '\0', 'é', '\ud83d', ',', '_']
  const seen = new Map<string, string>()
  for (let i = 0; i < 100_000; i++) {
    const parts = Array.from({ length: random.integer(1, 4) }, () =>
      Array.from({ length: random.integer(1, 4) }, () => random.pick(letters)).join(''),
    )
    const key = String(allOf(...parts.map((part) => () => part))({}, noClient))
    const list = JSON.stringify(parts)
    if (seen.has(key)) expect(seen.get(key)).toBe(list)
    seen.set(key, list)
  }
  expect(new Set(seen.values()).size).toBe(seen.size)
})

it('keys cut from long headers do not keep the headers in memory (H19)', async () => {
  const { code, out, err } = await run('security/pinned.mjs', [], {}, ['--expose-gc'])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  const { admitted, grownMb } = JSON.parse(out)
  expect(admitted).toBe(6_000)
  expect(grownMb).toBeLessThan(5)
})

it('a million keys that a weak hash would merge have separate budgets (H21, H22)', () => {
  // Integer-like texts, whose hash was once predictable in V8, and texts that differ in one unit.
  const limiter = new RateLimiter('1/year', { capacity: 4_000_000 })
  let admitted = 0
  for (let i = 0; i < 500_000; i++) {
    if (limiter.allow(String(i * 1_021))) admitted++
    if (limiter.allow(`key\0${String.fromCharCode(i & 0xffff)}${i >> 16}`)) admitted++
  }
  expect(admitted).toBe(1_000_000)
  limiter.close()
})
