import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { allOf, byHeader, byIp, byUser, firstOf, type KeyFunction } from 'ratethrottle'
import plugin from 'ratethrottle/fastify'
import { expect, test } from 'vitest'

const REQUESTS = 500
const pages = (readdirSync('docs', { recursive: true }) as string[]).map((name) =>
  join('docs', name),
)
const docs = ['README.md', ...pages].filter((name) => name.endsWith('.md'))
const read = (name: string): string => readFileSync(name, 'utf8')

/** Each `key: ...` on a separate line in the code of the documents. */
const keysInDocs = docs.flatMap((name) =>
  [...read(name).matchAll(/```[tj]s[^\n]*\n([\s\S]*?)```/g)]
    .flatMap(([, code = '']) => code.split('\n'))
    .filter((line) => /^key: /.test(line))
    .map((line) => line.replace(/^key: /, '').replace(/\s*\/\/.*$/, '')),
)

/** The key function that such a text makes, where users are known and customers are looked up. */
function evaluate(text: string): KeyFunction<FastifyRequest> {
  const names = { allOf, byHeader, byIp, byUser, firstOf }
  const known = { id: () => 'ada', login: () => 'Ada', customers: new Map([['a key', 7]]) }
  const given = { ...names, ...known }
  return new Function(...Object.keys(given), `return ${text}`)(...Object.values(given))
}

/** How many requests from one address were admitted, with invented values in everything that a client controls. */
async function admitted(app: FastifyInstance, url = '/'): Promise<number> {
  let count = 0
  for (let i = 0; i < REQUESTS; i++) {
    const headers = {
      'x-api-key': `key ${i}`,
      'x-user': `user ${i}`,
      'x-device': `device ${i}`,
      'x-tenant': `tenant ${i}`,
      authorization: `Bearer ${i}`,
      cookie: `session=${i}`,
    }
    const { statusCode } = await app.inject({ url, headers })
    if (statusCode === 200) count++
  }
  return count
}

test('every key in the documents limits a client that invents headers', async () => {
  expect(keysInDocs.length).toBeGreaterThan(3)
  for (const text of keysInDocs) {
    const app = Fastify()
    await app.register(plugin, { limits: '5/hour', key: evaluate(text) })
    app.get('/', () => 'ok')
    expect(await admitted(app), text).toBe(5)
    await app.close()
  }
})

test('the complete example limits a client that invents users', async () => {
  const { buildService } = await import('../../examples/fastify.ts')
  const app = await buildService()
  expect(await admitted(app, '/api/public')).toBe(100)
  await app.close()
})

test('no document, example or comment uses an unverified header as a key', () => {
  const sources = (readdirSync('ts', { recursive: true }) as string[])
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('ts', name))
  const examples = readdirSync('examples')
    .filter((name) => /\.(ts|mjs)$/.test(name))
    .map((name) => join('examples', name))
  const found = [...docs, ...sources, ...examples].filter((name) =>
    /(firstOf|allOf)\([^\n]*byHeader\(|key: byHeader\(/.test(read(name)),
  )
  expect(found).toEqual([])
})
